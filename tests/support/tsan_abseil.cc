// Shows ThreadSanitizer what Abseil's locks order. The distribution's libabsl is not instrumented, so without this every
// value that an absl::Mutex guards, ours or gRPC's, would be reported as a race. Linked into each program of the tsan
// preset and into nothing else.
//
// The definitions here precede libabsl's in the dynamic symbol order, so calls from our code and from other shared
// libraries arrive here: each tells ThreadSanitizer and calls the next definition, the real one. "Acquire" after locking
// and "release" before unlocking is all that happens-before needs; lock order is left to Abseil's own deadlock check.
// Reads are not looked at inside the real functions: Abseil evaluates a waiter's absl::Condition there, under the lock
// but before this file has said so.

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);

namespace {

using absl::synchronization_internal::KernelTimeout;

// The definition of a symbol after this program's own. A member function takes its object as the first argument (Itanium
// C++ ABI).
template <typename Function>
Function* Next(const char* mangled_name) {
  void* symbol = dlsym(RTLD_NEXT, mangled_name);
  if (symbol == nullptr) std::abort();  // another Abseil than Debian 13's: the names below must follow it
  return reinterpret_cast<Function*>(symbol);
}

template <typename Function, typename... Arguments>
auto WithoutReads(Function* function, Arguments&&... arguments) {
  struct Scope {
    Scope() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
    ~Scope() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
  } scope;
  return function(static_cast<Arguments&&>(arguments)...);
}

void Acquire(const void* object) { __tsan_acquire(const_cast<void*>(object)); }
void Release(const void* object) { __tsan_release(const_cast<void*>(object)); }

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static auto* const next = Next<void(Mutex*)>("_ZN4absl7debian75Mutex4LockEv");
  next(this);
  Acquire(this);
}

bool Mutex::TryLock() {
  static auto* const next = Next<bool(Mutex*)>("_ZN4absl7debian75Mutex7TryLockEv");
  const bool locked = next(this);
  if (locked) Acquire(this);
  return locked;
}

void Mutex::Unlock() {
  static auto* const next = Next<void(Mutex*)>("_ZN4absl7debian75Mutex6UnlockEv");
  Release(this);
  WithoutReads(next, this);
}

void Mutex::ReaderLock() {
  static auto* const next = Next<void(Mutex*)>("_ZN4absl7debian75Mutex10ReaderLockEv");
  next(this);
  Acquire(this);
}

bool Mutex::ReaderTryLock() {
  static auto* const next = Next<bool(Mutex*)>("_ZN4absl7debian75Mutex13ReaderTryLockEv");
  const bool locked = next(this);
  if (locked) Acquire(this);
  return locked;
}

void Mutex::ReaderUnlock() {
  static auto* const next = Next<void(Mutex*)>("_ZN4absl7debian75Mutex12ReaderUnlockEv");
  Release(this);
  WithoutReads(next, this);
}

bool Mutex::AwaitCommon(const Condition& condition, KernelTimeout timeout) {
  static auto* const next = Next<bool(Mutex*, const Condition&, KernelTimeout)>(
      "_ZN4absl7debian75Mutex11AwaitCommonERKNS0_9ConditionENS0_24synchronization_internal13KernelTimeoutE");
  Release(this);
  const bool holds = WithoutReads(next, this, condition, timeout);
  Acquire(this);
  return holds;
}

bool Mutex::LockWhenCommon(const Condition& condition, KernelTimeout timeout, bool write) {
  static auto* const next = Next<bool(Mutex*, const Condition&, KernelTimeout, bool)>(
      "_ZN4absl7debian75Mutex14LockWhenCommonERKNS0_9ConditionENS0_24synchronization_internal13KernelTimeoutEb");
  const bool holds = WithoutReads(next, this, condition, timeout, write);
  Acquire(this);
  return holds;
}

bool CondVar::WaitCommon(Mutex* mutex, KernelTimeout timeout) {
  static auto* const next = Next<bool(CondVar*, Mutex*, KernelTimeout)>(
      "_ZN4absl7debian77CondVar10WaitCommonEPNS0_5MutexENS0_24synchronization_internal13KernelTimeoutE");
  Release(mutex);
  const bool timed_out = WithoutReads(next, this, mutex, timeout);
  Acquire(mutex);
  return timed_out;
}

void Notification::Notify() {
  static auto* const next = Next<void(Notification*)>("_ZN4absl7debian712Notification6NotifyEv");
  Release(this);
  Release(reinterpret_cast<const char*>(this) + sizeof(Mutex));  // the flag that the inline HasBeenNotified() loads
  next(this);
}

void Notification::WaitForNotification() const {
  static auto* const next = Next<void(const Notification*)>("_ZNK4absl7debian712Notification19WaitForNotificationEv");
  next(this);
  Acquire(this);
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static auto* const next = Next<bool(const Notification*, Duration)>(
      "_ZNK4absl7debian712Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  const bool notified = next(this, timeout);
  if (notified) Acquire(this);
  return notified;
}

bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  static auto* const next = Next<bool(const Notification*, Time)>(
      "_ZNK4absl7debian712Notification31WaitForNotificationWithDeadlineENS0_4TimeE");
  const bool notified = next(this, deadline);
  if (notified) Acquire(this);
  return notified;
}

bool BlockingCounter::DecrementCount() {
  static auto* const next = Next<bool(BlockingCounter*)>("_ZN4absl7debian715BlockingCounter14DecrementCountEv");
  Release(this);
  return next(this);
}

void BlockingCounter::Wait() {
  static auto* const next = Next<void(BlockingCounter*)>("_ZN4absl7debian715BlockingCounter4WaitEv");
  next(this);
  Acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl
