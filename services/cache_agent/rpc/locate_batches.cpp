#include "rpc/locate_batches.h"

#include <algorithm>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"
#include "rpc/cluster_proto.h"

namespace larder::cache_agent {

namespace v1 = larder::tracker::v1;

namespace {

constexpr base::Duration kFirstPause = std::chrono::milliseconds(20);
constexpr base::Duration kLongestPause = std::chrono::milliseconds(500);

// A repeat, here or at another member, may succeed at once.
bool MayPass(const absl::Status& failure) {
  const std::string reason = base::Reason(failure);
  return reason == "STOPPING" || reason == "LEADER_CHANGED" || reason == "RAFT_BUSY";
}

}  // namespace

void LocateBatches::Add(std::vector<object::ObjectId> ids, base::Deadline deadline, Located done) {
  const size_t count = ids.size();
  ids_ += count;
  auto question = std::make_shared<Question>(Question{.ids = std::move(ids),
                                                      .found = std::vector<v1::LocatedObject>(count),
                                                      .missing = count,
                                                      .deadline = deadline,
                                                      .done = std::move(done)});
  for (size_t i = 0; i < count; ++i) queue_.push_back({question, i});
  questions_.insert(std::move(question));
}

std::optional<LocateBatches::Request> LocateBatches::Next(base::MonotonicTime now) {
  if (now < not_before_ || sent_.size() >= limits_.batches) return std::nullopt;
  Request request{.number = last_number_ + 1};
  std::vector<Item> items;
  while (!queue_.empty() && items.size() < limits_.batch_ids) {
    Item item = std::move(queue_.front());
    queue_.pop_front();
    if (!item.question->done) continue;
    *request.locate.add_objects() = ToProto(item.question->ids[item.index]);
    items.push_back(std::move(item));
  }
  if (items.empty()) return std::nullopt;
  sent_.emplace(++last_number_, std::move(items));
  return request;
}

void LocateBatches::AskAgain(const std::vector<Item>& items, size_t from) {
  queue_.insert(queue_.begin(), items.begin() + static_cast<ptrdiff_t>(from), items.end());
}

void LocateBatches::OnLocated(uint64_t number, v1::LocateResponse response, Completions& completions) {
  auto sent = sent_.extract(number);
  if (!sent) return;
  failures_ = 0;
  const std::vector<Item>& items = sent.mapped();
  // Fewer than asked for, where they would have been too many bytes.
  const size_t answered = std::min(items.size(), static_cast<size_t>(response.objects_size()));
  for (size_t i = 0; i < answered; ++i) {
    const std::shared_ptr<Question>& question = items[i].question;
    question->found[items[i].index] = std::move(*response.mutable_objects(static_cast<int>(i)));
    if (--question->missing == 0) Tell(question, std::move(question->found), completions);
  }
  AskAgain(items, answered);
}

void LocateBatches::OnFailure(uint64_t number, const absl::Status& failure, base::MonotonicTime now,
                              Completions& completions) {
  auto sent = sent_.extract(number);
  if (!sent) return;
  not_before_ = now + base::BackoffDelay(failures_++, kFirstPause, kLongestPause, base::BackoffRandom());
  if (MayPass(failure)) return AskAgain(sent.mapped(), 0);
  for (const Item& item : sent.mapped()) Tell(item.question, failure, completions);
}

void LocateBatches::OnLinkLost() {
  for (auto sent = sent_.rbegin(); sent != sent_.rend(); ++sent) AskAgain(sent->second, 0);
  sent_.clear();
  not_before_ = {};
}

base::Deadline LocateBatches::Expire(base::MonotonicTime now, const absl::Status& nobody, Completions& completions) {
  base::Deadline next = base::kNoDeadline;
  std::vector<std::shared_ptr<Question>> over;
  for (const std::shared_ptr<Question>& question : questions_) {
    if (question->deadline <= now) {
      over.push_back(question);
    } else {
      next = std::min(next, question->deadline);
    }
  }
  for (const std::shared_ptr<Question>& question : over) Tell(question, nobody, completions);
  return next;
}

void LocateBatches::Tell(const std::shared_ptr<Question>& question,
                         absl::StatusOr<std::vector<v1::LocatedObject>> answer, Completions& completions) {
  if (!question->done) return;
  questions_.erase(question);
  ids_ -= question->ids.size();
  completions.push_back([done = std::exchange(question->done, nullptr), answer = std::move(answer)] { done(answer); });
}

}  // namespace larder::cache_agent
