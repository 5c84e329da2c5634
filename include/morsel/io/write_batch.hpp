// What several writes make visible together.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <morsel/base/config.hpp>
#include <mutex>
#include <string>

namespace morsel::inline MORSEL_ABI {

/// Arrays and groups that are written as one. A format that keeps several of them in one file keeps that file
/// here while it grows. Other formats do not need it. **Threads**: any, one after the other.
class WriteBatch {
 public:
  enum class Ends : std::uint8_t {
    with_its_arrays,  ///< a file appears when the last of its arrays is committed
    on_commit         ///< ... when `commit` is called; without it, all is discarded
  };
  enum class Old : std::uint8_t {
    stays,  ///< what is written is added to files that are there
    goes    ///< files start empty, whatever is there
  };
  explicit WriteBatch(Ends ends = Ends::on_commit, Old old = Old::stays) : ends_(ends), old_(old) {}
  WriteBatch(const WriteBatch&) = delete;
  WriteBatch& operator=(const WriteBatch&) = delete;

  /// A file that is being written.
  class File {
   public:
    virtual ~File() = default;
    virtual void commit() = 0;
  };

  Ends ends() const { return ends_; }
  Old old() const { return old_; }
  /// The file of a name, made when it is first asked for.
  std::shared_ptr<File> file(const std::string& name, const std::function<std::shared_ptr<File>()>& make) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<File>& found = files_[name];
    if (!found) found = make();
    return found;
  }
  /// Makes all that was written visible. **Fails**: as the format's sinks.
  void commit() {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, file] : files_) file->commit();
    files_.clear();
  }

 private:
  Ends ends_;
  Old old_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<File>> files_;
};

}  // namespace morsel::inline MORSEL_ABI
