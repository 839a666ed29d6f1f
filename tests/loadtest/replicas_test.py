"""The model of loadtest/replicas against a simulation of the queue that it speaks of."""
import importlib.machinery
import importlib.util
import random
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "loadtest/replicas"


def load():
    loader = importlib.machinery.SourceFileLoader("replicas", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("replicas", loader))
    loader.exec_module(module)
    return module


def simulated_p99(rate: float, service: float, customers: int = 400_000) -> float:
    """Lindley's recursion: a customer waits for what the one before left, less the time between them."""
    rng, wait, waits = random.Random(1), 0.0, []
    for _ in range(customers):
        wait = max(0.0, wait + service - rng.expovariate(rate))
        waits.append(wait)
    return sorted(waits)[int(0.99 * customers)]


class WaitingTest(unittest.TestCase):
    def test_p99_of_waiting_is_the_simulated_one(self):
        program = load()
        for busy in (0.5, 0.7, 0.8):
            for service in (0.001, 0.02):
                with self.subTest(busy=busy, service=service):
                    expected = simulated_p99(busy / service, service)
                    self.assertAlmostEqual(program.waiting_p99(busy / service, service), expected, delta=0.06 * expected)

    def test_nearly_idle_means_nearly_no_wait(self):
        self.assertLess(load().waiting_p99(1.0, 0.001), 0.001)


if __name__ == "__main__":
    unittest.main(verbosity=2)
