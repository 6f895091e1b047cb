#pragma once
#include <absl/status/status.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "larder/base/digest.h"

namespace larder::tracker {

// Reads rows in the order of their keys' bytes. A read that fails (disk, damage) finds nothing, and status() says so
// from then on: whoever reads looks at it once, at the end, before it believes what it read. One thread at a time.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual std::optional<std::string> Get(std::string_view key) = 0;

  // Gets a row, and says whether to go on. The views end with the call.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  // The rows whose keys begin with `prefix` and are not before `from`, in order. `visit` must not write to the table
  // that it reads: collect, then write.
  virtual void Scan(std::string_view prefix, std::string_view from, const Visit& visit) = 0;

  const absl::Status& status() const { return status_; }
  // What was read makes no sense, or could not be read. The first failure is kept.
  void Fail(absl::Status status) { status_.Update(status); }

 private:
  absl::Status status_;
};

// Changes that happen all at once or not at all, and that it reads itself before they do.
class Batch : public Reader {
 public:
  virtual void Put(std::string_view key, std::string_view value) = 0;
  virtual void Delete(std::string_view key) = 0;
  // Once. Does nothing, and returns the failure, if a read failed.
  virtual absl::Status Commit() = 0;
};

// An ordered table of bytes. Batches are made and committed by one thread, one at a time; snapshots may be taken and
// read by any. Outlives both.
class Table {
 public:
  virtual ~Table() = default;
  virtual std::unique_ptr<Batch> NewBatch() = 0;
  // What was committed when it was taken, whatever is committed after.
  virtual std::unique_ptr<Reader> NewSnapshot() = 0;
  // OK: what was committed so far survives a loss of power. Without it a restart may find an earlier state, but never
  // a part of a batch.
  virtual absl::Status Flush() = 0;
};

// SHA-256 of all rows in order: equal tables have equal digests. The reader's status() may be bad after it.
base::Sha256Digest DigestOf(Reader& reader);

}  // namespace larder::tracker
