"""The page of `precis compare --html`, in a headless Chromium: on a phone, on a desk, in the dark.

Skips where no Chromium is installed. The other way round, where Chromium is but the packages are not:
    PRECIS_PAGE=report.html python3 tests/e2e/page_test.py
"""
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
DEMO = Path(__file__).resolve().parents[2] / "demo"

# Measures the page as it is laid out, and leaves the answer where --dump-dom shows it.
PROBE = """<script>
addEventListener("load", () => {
  const texts = [...document.querySelectorAll("svg text")];
  const within = t => { const a = t.getBoundingClientRect(), b = t.closest("svg").getBoundingClientRect();
                        return a.left >= b.left - 1 && a.right <= b.right + 1 && a.bottom <= b.bottom + 1; };
  const answer = {
    page_width: document.documentElement.scrollWidth, window_width: innerWidth,
    background: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color,
    headline: document.querySelector("h1").textContent, charts: document.querySelectorAll("svg").length,
    rows: document.querySelectorAll("tr").length, cut: texts.filter(t => !within(t)).map(t => t.textContent),
    smallest_text: Math.min(...texts.map(t => t.getBoundingClientRect().height)),
    requests: performance.getEntriesByType("resource").length,
    headline_pixels: parseFloat(getComputedStyle(document.querySelector("h1")).fontSize),
  };
  const pre = document.createElement("pre");
  pre.id = "probe";
  pre.textContent = JSON.stringify(answer);
  document.body.append(pre);
});
</script>"""


def brightness(color: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", color)[:3])) / 3


def make_page(folder: Path) -> Path:
    """The demo's network compared on a hundred images."""
    from precisd import BINARIES, Precisd  # wants to know where the binaries are
    page = folder / "page.html"
    server = Precisd(f"--model_repository={DEMO}/repository", "--load=fashion@fp32")
    try:
        subprocess.run([BINARIES / "precis", "compare", "fashion", "--variants=fp32,bf16,int8", f"--data={DEMO}/data",
                        "--rows=:100", f"--server={server.target}", f"--html={page}"], check=True, capture_output=True)
    finally:
        server.stop()
    return page


@unittest.skipUnless(CHROMIUM, "no Chromium on this machine's PATH: install the package chromium to run this")
class ComparePageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        given = os.environ.get("PRECIS_PAGE")
        page = Path(given) if given else make_page(Path(cls.folder.name))
        cls.page = page.read_text(encoding="utf-8")

    def laid_out(self, width: int, dark: bool = False) -> dict:
        probed = Path(self.folder.name) / "probed.html"
        # --window-size is not obeyed below 500 pixels: a frame is as narrow as a phone.
        inner = html.escape(self.page.replace("</body>", PROBE + "</body>"), quote=True)
        probed.write_text(f"""<!doctype html><iframe style="width:{width}px;height:800px;border:0" srcdoc="{inner}"
            onload="setTimeout(() => document.body.append(this.contentDocument.getElementById('probe')), 100)"></iframe>""",
                          encoding="utf-8")
        # 0: dark, 1: light (Blink's PreferredColorScheme).
        result = subprocess.run(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self.folder.name}/profile",
             f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=4000",
             "--window-size=1400,1000", "--dump-dom", probed.as_uri()],
            capture_output=True, text=True, timeout=120, check=True)
        answer = re.search(r'<pre id="probe">(.*?)</pre>', result.stdout, re.DOTALL)
        self.assertTrue(answer, f"the page did not load:\n{result.stderr[-2000:]}")
        return json.loads(html.unescape(answer.group(1)))

    def test_reads_on_a_phone_without_sideways_scrolling(self):
        page = self.laid_out(390)
        self.assertEqual(page["window_width"], 390)
        self.assertLessEqual(page["page_width"], 390)
        self.assertEqual(page["cut"], [])
        self.assertGreaterEqual(page["headline_pixels"], 20)
        self.assertGreaterEqual(page["smallest_text"], 11)  # lines of text in the charts

    def test_shows_headline_table_and_charts_on_a_desk(self):
        page = self.laid_out(1200)
        self.assertRegex(page["headline"], "^(Use|Stay with) ")
        self.assertGreaterEqual(page["charts"], 5)
        self.assertGreaterEqual(page["rows"], 3)
        self.assertEqual(page["cut"], [])

    def test_fetches_nothing(self):
        self.assertEqual(self.laid_out(1200)["requests"], 0)

    def test_follows_dark_mode(self):
        light, dark = self.laid_out(390), self.laid_out(390, dark=True)
        self.assertGreater(brightness(light["background"]), brightness(light["ink"]) + 100)
        self.assertLess(brightness(dark["background"]), brightness(dark["ink"]) - 100)


if __name__ == "__main__":
    unittest.main(verbosity=2)
