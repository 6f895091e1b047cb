#pragma once
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/object/registries.h"
#include "larder/object/testing/test_node.h"

namespace larder::object {

// Where a `done` puts its answer. Copies share one slot. Thread-safe.
template <typename T>
class Answer {
 public:
  Done<T> Slot() const {
    return [state = state_](T value) {
      if (state->calls.fetch_add(1) == 0) state->promise.set_value(std::move(value));
    };
  }
  bool ready() const { return state_->calls > 0; }
  int calls() const { return state_->calls; }
  // Waits for a peer that answers on another thread, up to 10 s of real time.
  T Get() const {
    if (state_->answer.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
      return T(absl::InternalError("no answer came"));
    }
    return state_->answer.get();
  }

 private:
  struct State {
    std::atomic<int> calls = 0;
    std::promise<T> promise;
    std::shared_future<T> answer = promise.get_future().share();
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// A session of a peer with calls that wait for their answers. Does not close it.
class Caller {
 public:
  Caller(Peer& peer, SessionId session) : peer_(&peer), session_(session) {}
  SessionId session() const { return session_; }

  Answer<absl::StatusOr<CreateGrant>> CreateLater(CreateRequest request, base::Deadline deadline = base::kNoDeadline);
  absl::StatusOr<CreateGrant> Create(CreateRequest request) { return CreateLater(std::move(request)).Get(); }
  absl::StatusOr<CreateGrant> CreateKey(const std::string& key) { return Create(CreateRequest{.key = key}); }
  absl::Status Append(const CreateGrant& grant, base::ByteSpan bytes) {
    return peer_->Append(session_, grant.lease, grant.epoch, bytes);
  }
  absl::StatusOr<SealResult> Seal(const CreateGrant& grant, uint64_t size, const base::Digest& expected = {});
  absl::Status Discard(const CreateGrant& grant) { return peer_->Discard(session_, grant.lease, grant.epoch); }
  // Create, append, seal.
  absl::StatusOr<SealResult> Put(CreateRequest request, base::ByteSpan bytes);
  absl::StatusOr<SealResult> PutKey(const std::string& key, base::ByteSpan bytes) {
    return Put(CreateRequest{.key = key}, bytes);
  }
  absl::StatusOr<ReadGrant> Get(const std::string& key);
  void Release(const ReadGrant& grant) { peer_->Release(session_, grant.lease); }
  absl::StatusOr<std::vector<LeaseId>> Renew() { return peer_->Renew(session_); }
  absl::StatusOr<ObjectInfo> Stat(const std::string& key);
  absl::StatusOr<ListPage> List(const ListRequest& request);
  absl::Status Delete(const std::string& key);
  absl::Status SetPinned(const std::string& key, bool pinned);
  void Close() { peer_->CloseSession(session_); }

 private:
  Peer* peer_;
  SessionId session_;
};

struct PeerCase {
  PeerEntry peer;
  BackendEntry backend;
};

// What every peer keeps, over every backend, on a node of its own (libs/object/include/larder/object/peer.h). LeaseNN_
// tests are the rules of leases with that number in libs/peers/README.md. To run it over the registries:
//   INSTANTIATE_TEST_SUITE_P(Registry, PeerContract, testing::ValuesIn(CasesOf(peers, backends)), NameOfCase);
class PeerContract : public testing::TestWithParam<PeerCase> {
 protected:
  static constexpr base::Duration kLeaseTtl = std::chrono::seconds(30);

  void SetUp() override { Begin({}); }
  // With other limits, and nothing in it.
  void Begin(const TestNode::Options& options);
  // Ends peer and backend and makes both anew on the same directory.
  void Restart();
  Peer& peer() { return *peer_; }
  bool durable() { return node_->backend().durability() != Durability::kMemory; }
  Caller Open(const std::string& ns = "team-a");
  // Time passes, and the peer is told.
  void Pass(base::Duration by);
  // What an agent's maintenance does when it is woken, until nobody asks for more.
  void MakeRoom();
  uint64_t Used() { return node_->Used(); }
  // No lease, no object, no session, no byte.
  void ExpectNothingLeft();

  PeerSettings Settings();

  std::map<std::string, NamespaceRules> rules_;  // of namespaces that have some
  std::unique_ptr<TestNode> node_;
  base::InlineExecutor executor_;
  std::unique_ptr<Peer> peer_;
  uint64_t used_at_start_ = 0;
};

std::vector<PeerCase> CasesOf(const PeerRegistry& peers, const BackendRegistry& backends);
std::string NameOfCase(const testing::TestParamInfo<PeerCase>& info);
// For readable test names; found by argument-dependent lookup.
void PrintTo(const PeerCase& peer_case, std::ostream* out);

}  // namespace larder::object
