#pragma once
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster_registry.h"
#include "larder/base/status.h"

namespace larder::cache_agent {

// A cluster that answers when a test says so, and keeps what it was asked: "acquire k", "seal k 7", "publish k", in the
// order of the calls. One thread.
class ScriptedCluster final : public ClusterRegistry {
 public:
  using Epoch = object::Epoch;
  template <typename T>
  using Done = object::Done<T>;

  void Acquire(const object::ObjectId& id, bool overwrite, Done<absl::StatusOr<Epoch>> done) override {
    Ask("acquire " + id.key + (overwrite ? " over" : ""), std::move(done));
  }
  void Seal(Epoch epoch, const object::ObjectInfo& info, Done<absl::StatusOr<object::TrackedAs>> done) override {
    told.push_back(info);
    Ask(fmt::format("seal {} {}", info.id.key, epoch.value),
        [epoch, done = std::move(done)](const absl::StatusOr<Epoch>& answer) {
          done(answer.ok() ? absl::StatusOr<object::TrackedAs>(Copy(epoch)) : answer.status());
        });
  }
  void Publish(const object::ObjectInfo& info, bool overwrite, Done<absl::StatusOr<object::TrackedAs>> done) override {
    told.push_back(info);
    Ask("publish " + info.id.key + (overwrite ? " over" : ""),
        [done = std::move(done)](const absl::StatusOr<Epoch>& answer) {
          done(answer.ok() ? absl::StatusOr<object::TrackedAs>(Copy(*answer)) : answer.status());
        });
  }
  // What the cluster knows an object as that has this epoch.
  static object::TrackedAs Copy(Epoch epoch) { return {.blob = {100 + epoch.value}, .epoch = epoch}; }
  void Abandon(const object::ObjectId& id, Epoch epoch, Done<absl::Status> done) override {
    Ask(fmt::format("abandon {} {}", id.key, epoch.value), Simply(std::move(done)));
  }
  void GiveUp(const object::ObjectId& id, const object::TrackedAs& copy, Done<absl::Status> done) override {
    Ask(fmt::format("give up {} {}", id.key, copy.epoch.value), Simply(std::move(done)));
  }
  void Offer(const object::ObjectId& id, const object::TrackedAs& copy, Done<absl::Status> done) override {
    Ask(fmt::format("offer {} {}", id.key, copy.epoch.value), Simply(std::move(done)));
  }
  void AddCopy(const object::TrackedAs& copy, Done<absl::Status> done) override {
    Ask(fmt::format("add {} {}", copy.blob.value, copy.epoch.value), Simply(std::move(done)));
  }
  void ReportBad(const object::TrackedAs& copy, const std::string& node, uint64_t node_epoch, uint64_t version,
                 Done<absl::Status> done) override {
    Ask(fmt::format("bad {} {} {} {} {}", copy.blob.value, copy.epoch.value, node, node_epoch, version),
        Simply(std::move(done)));
  }
  void GetInventory(Done<absl::StatusOr<object::InventorySums>> done) override { sums.push_back(std::move(done)); }
  void ConfirmBuckets(const std::vector<std::pair<uint8_t, uint64_t>>& equal,
                      Done<absl::StatusOr<std::vector<uint8_t>>> done) override {
    confirmed.emplace_back(equal, std::move(done));
  }
  void SyncBucket(InventoryPage page, Done<absl::StatusOr<InventoryAnswer>> done) override {
    pages.emplace_back(std::move(page), std::move(done));
  }
  void Delete(const object::ObjectId& id, Done<absl::Status> done) override {
    Ask("delete " + id.key, Simply(std::move(done)));
  }
  void SetMeta(const object::ObjectId& id, Epoch epoch, const MetaChange& change, Done<absl::Status> done) override {
    std::string question = "set " + id.key;
    if (epoch != Epoch{}) question += fmt::format(" {}", epoch.value);
    if (change.pinned) question += *change.pinned ? " pinned" : " unpinned";
    if (change.ttl) question += fmt::format(" ttl {}", change.ttl->count());
    if (change.wanted_replicas) question += fmt::format(" wanted {}", *change.wanted_replicas);
    if (change.tags) question += fmt::format(" tags {}", fmt::join(*change.tags, ","));
    Ask(std::move(question), Simply(std::move(done)));
  }
  void Locate(std::vector<object::ObjectId> ids, Done<absl::StatusOr<std::vector<ClusterObject>>> done) override {
    located.emplace_back(std::move(ids), std::move(done));
  }
  void List(const std::string& ns, const object::ListRequest& request,
            Done<absl::StatusOr<ClusterPage>> done) override {
    listed.emplace_back(ns + "/" + request.prefix, std::move(done));
  }

  // What was asked and is not answered.
  std::vector<std::string> open() const {
    std::vector<std::string> questions;
    for (const auto& [question, done] : asked_) questions.push_back(question);
    return questions;
  }
  // Answers the oldest such question.
  void Answer(const std::string& question, absl::StatusOr<Epoch> answer = Epoch{}) {
    const auto it = std::ranges::find(asked_, question, &Asked::first);
    if (it == asked_.end()) throw std::logic_error("nobody asked: " + question);
    const auto done = std::move(it->second);
    asked_.erase(it);
    done(std::move(answer));
  }

  std::vector<std::pair<std::vector<object::ObjectId>, Done<absl::StatusOr<std::vector<ClusterObject>>>>> located;
  std::vector<std::pair<std::string, Done<absl::StatusOr<ClusterPage>>>> listed;
  std::vector<Done<absl::StatusOr<object::InventorySums>>> sums;
  std::vector<std::pair<std::vector<std::pair<uint8_t, uint64_t>>, Done<absl::StatusOr<std::vector<uint8_t>>>>>
      confirmed;
  std::vector<std::pair<InventoryPage, Done<absl::StatusOr<InventoryAnswer>>>> pages;
  std::vector<object::ObjectInfo> told;                  // of what was sealed or published
  std::map<std::string, absl::StatusOr<Epoch>> answers;  // of questions that are answered within the call

 private:
  using Asked = std::pair<std::string, Done<absl::StatusOr<Epoch>>>;
  static Done<absl::StatusOr<Epoch>> Simply(Done<absl::Status> done) {
    return [done = std::move(done)](const absl::StatusOr<Epoch>& answer) { done(answer.status()); };
  }
  void Ask(std::string question, Done<absl::StatusOr<Epoch>> done) {
    if (const auto at_once = answers.find(question); at_once != answers.end()) return done(at_once->second);
    asked_.emplace_back(std::move(question), std::move(done));
  }
  std::vector<Asked> asked_;
};

inline absl::Status ClusterDown() {
  return base::Error(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM", "the tracker has no leader");
}
inline absl::Status HeldElsewhere() { return base::Error(absl::StatusCode::kAborted, "HELD", "node b creates it"); }
inline absl::Status ExistsElsewhere() { return base::Error(absl::StatusCode::kAlreadyExists, "EXISTS", "it exists"); }

}  // namespace larder::cache_agent
