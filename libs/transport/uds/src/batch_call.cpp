#include "src/batch_call.h"

#include <utility>

#include "larder/base/status.h"

namespace larder::transport::uds {
namespace {

constexpr size_t kInFlight = 4;  // records
// Each may have to wait for another creator: room is left for those that other threads ask for.
constexpr size_t kMostPuts = kMaxWaiting / 2;
constexpr size_t kAnswered = SIZE_MAX;

}  // namespace

BatchCall::BatchCall(Link& link, Op op, base::Deadline deadline, OnAnswer on_answer)
    : link_(link),
      op_(op),
      most_(op == Op::kPut ? kMostPuts : kMaxBatch),
      deadline_(deadline),
      on_answer_(std::move(on_answer)) {}

void BatchCall::Add(size_t index, base::ByteSpan head, base::ByteSpan tail) {
  if (!Fits(items_.size() + head.size() + tail.size()) || indices_.size() == most_) Send();
  PutBatchItem(items_, op_, head, tail);
  indices_.push_back(index);
}

void BatchCall::Send() {
  if (flying_.size() == kInFlight) Land();
  std::vector<size_t> indices = std::exchange(indices_, {});
  if (failed_.ok()) {
    const auto count = static_cast<uint16_t>(indices.size());
    const auto request = link_.BeginBatch(count, items_.bytes(), op_ == Op::kGet || op_ == Op::kGetRange, deadline_);
    if (request.ok()) flying_.push_back({.request = *request, .indices = std::move(indices)});
    failed_ = request.status();
  }
  items_.Clear();
}

void BatchCall::Land() {
  Flying landing = std::move(flying_.front());
  flying_.pop_front();
  std::vector<Record> answers;
  absl::Status landed = link_.WaitBatch(landing.request, deadline_, answers);
  for (const Record& record : answers) {
    base::ByteReader in(record.payload);
    for (const BatchAnswer& answer : TakeBatchAnswers(in)) {
      const size_t index =
          answer.item < landing.indices.size() ? std::exchange(landing.indices[answer.item], kAnswered) : kAnswered;
      if (index == kAnswered) {
        landed = BadRecord("an answer of no item, or a second one");
        link_.Break();
        break;
      }
      on_answer_(index, answer.code, answer.payload, record);
    }
  }
  if (failed_.ok()) failed_ = landed;
}

absl::Status BatchCall::Finish() {
  if (!indices_.empty()) Send();
  while (!flying_.empty()) Land();
  return failed_;
}

}  // namespace larder::transport::uds
