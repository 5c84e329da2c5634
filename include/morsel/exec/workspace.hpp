// Memory and threads that runs share: one ledger, one pool.
//
// A run takes a grant of at least its smallest budget, first come first served, and proves itself against it;
// a run that must wait holds nothing. Worker threads are started on demand and wait between runs.
#pragma once

#include <cstddef>
#include <memory>
#include <morsel/base/bytes.hpp>

namespace morsel::inline MORSEL_ABI {

struct WorkspaceOptions {
  Bytes memory;     ///< 0: MORSEL_MEMORY, or half of what the process may still use
  int threads = 0;  ///< 0: MORSEL_THREADS, or all cores of the affinity mask capped by the cgroup's quota
};

/// Shared handle; copies are the same workspace.
class Workspace {
 public:
  explicit Workspace(const WorkspaceOptions& options);
  /// The process-wide default.
  static Workspace& process();

  std::size_t memory_bytes() const;
  int threads() const;
  /// Bytes granted to runs now, and the most there ever were.
  std::size_t granted_bytes() const;
  std::size_t peak_granted_bytes() const;
  /// Those of the granted bytes that loaded arrays hold until they are released. Runs share the rest.
  std::size_t held_bytes() const;

  struct State;
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

/// What the machine and the environment allow.
int available_threads();
std::size_t available_memory_bytes();  ///< cgroup-aware: limit less usage, or what the system calls available

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/exec/pool.hpp>  // brings the body
#endif
