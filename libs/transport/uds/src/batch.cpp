#include "src/batch.h"

#include <iterator>
#include <utility>

#include "src/connection.h"

namespace larder::transport::uds {
namespace {

constexpr size_t kRoom = kMaxRecord - kHeaderSize - sizeof(uint16_t);

}  // namespace

void Batch::Add(uint16_t item, uint32_t code, base::ByteSpan payload, base::ByteSpan tail,
                std::vector<base::UniqueFd> fds) {
  base::MutexLock lock(mutex_);
  const size_t size = kBatchAnswerOverhead + payload.size() + tail.size();
  if (count_ > 0 && (answers_.size() + size > kRoom || fds_.size() + fds.size() > kMaxExtents)) SendGathered();
  PutBatchAnswer(answers_, {.item = item, .code = code, .payload = payload}, tail);
  std::move(fds.begin(), fds.end(), std::back_inserter(fds_));
  ++count_;
  --left_;
  if (left_ == 0 || !gathering_) SendGathered();
}

void Batch::Flush() {
  base::MutexLock lock(mutex_);
  gathering_ = false;
  if (count_ > 0) SendGathered();
}

void Batch::SendGathered() {
  base::ByteWriter count;
  count.U16(std::exchange(count_, uint16_t{0}));
  connection_->Send({.op = Op::kBatch, .request_id = request_id_}, count.bytes(), answers_.bytes(),
                    std::exchange(fds_, {}));
  answers_.Clear();
}

}  // namespace larder::transport::uds
