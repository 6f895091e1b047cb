#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "larder/base/codec.h"
#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"
#include "src/wire.h"

namespace larder::transport::uds {

class Connection;

// The answers of one BATCH, gathered into as few records as hold them. Thread-safe.
class Batch {
 public:
  Batch(std::shared_ptr<Connection> connection, uint64_t request_id, size_t items)
      : connection_(std::move(connection)), request_id_(request_id), left_(items) {}

  // The answer of one item. Sent with others until Flush, alone after it, and with the last of all at once.
  void Add(uint16_t item, uint32_t code, base::ByteSpan payload, base::ByteSpan tail, std::vector<base::UniqueFd> fds)
      LARDER_EXCLUDES(mutex_);
  // Every item has been begun: what waits is sent, and nothing waits from now on.
  void Flush() LARDER_EXCLUDES(mutex_);

 private:
  void SendGathered() LARDER_REQUIRES(mutex_);

  const std::shared_ptr<Connection> connection_;
  const uint64_t request_id_;
  base::Mutex mutex_;
  size_t left_ LARDER_GUARDED_BY(mutex_);  // items without an answer
  bool gathering_ LARDER_GUARDED_BY(mutex_) = true;
  uint16_t count_ LARDER_GUARDED_BY(mutex_) = 0;  // answers in answers_
  base::ByteWriter answers_ LARDER_GUARDED_BY(mutex_);
  std::vector<base::UniqueFd> fds_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::transport::uds
