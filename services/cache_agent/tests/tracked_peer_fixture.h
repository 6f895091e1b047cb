#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/tracked_peer.h"
#include "larder/backends/register_all.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/peer_contract.h"
#include "larder/peers/peers.h"
#include "tests/scripted_cluster.h"

namespace larder::cache_agent {

inline constexpr object::AckPolicy kLocal = object::AckPolicy::kLocal;

class TrackedPeerTest : public testing::Test {
 protected:
  explicit TrackedPeerTest(const std::string& store = "memory") {
    object::BackendRegistry backends("store");
    backends::RegisterAll(backends);
    node_ = std::make_unique<object::TestNode>(**backends.Get(store));
    Start();
  }

  // An agent on what the backend has; a restart, if there was one before.
  void Start() {
    caller_.reset();
    if (peer_ != nullptr) {
      peer_.reset();
      node_->Restart();
    }
    object::PeerRegistry peers("peer");
    peers::Register(peers);
    publisher_ = std::make_unique<Publisher>(cluster_, node_->clock());
    auto inner = (*peers.Get("single"))
                     ->make({.backends = {&node_->backend()},
                             .clock = &node_->clock(),
                             .executor = &executor_,
                             .rules = [this](const std::string& ns) { return rules_[ns]; }});
    peer_ = std::make_unique<TrackedPeer>("a", *std::move(inner), cluster_, *publisher_, executor_, node_->clock(),
                                          [this] { return may_ask_; });
    caller_ = Open();
  }

  std::unique_ptr<object::Caller> Open(const std::string& ns = "team-a") {
    return std::make_unique<object::Caller>(*peer_, *peer_->OpenSession({.ns = ns}));
  }
  base::Deadline In(base::Duration time) { return node_->clock().Now() + time; }
  void Pass(base::Duration time) {
    node_->clock().Advance(time);
    peer_->Tick();
  }
  // A create that the cluster lets begin.
  object::CreateGrant Begin(object::CreateRequest request, object::Epoch right = {7}) {
    auto answer = caller_->CreateLater(request);
    cluster_.Answer("acquire " + request.key + (request.overwrite ? " over" : ""), right);
    return answer.Get().value();
  }
  object::Answer<absl::StatusOr<object::SealResult>> SealLater(const object::CreateGrant& grant,
                                                               std::string_view bytes) {
    EXPECT_THAT(caller_->Append(grant, base::AsBytes(bytes)), base::IsOk());
    return SealAgain(grant, bytes);
  }
  object::Answer<absl::StatusOr<object::SealResult>> SealAgain(const object::CreateGrant& grant,
                                                               std::string_view bytes) {
    object::Answer<absl::StatusOr<object::SealResult>> answer;
    peer_->Seal(caller_->session(), grant.lease, grant.epoch, {.size = bytes.size()}, answer.Slot());
    return answer;
  }
  object::Answer<absl::Status> DeleteLater(const std::string& key) {
    object::Answer<absl::Status> answer;
    peer_->Delete(caller_->session(), key, answer.Slot());
    return answer;
  }
  object::Answer<absl::StatusOr<object::ObjectStat>> StatLater(const std::string& key) {
    object::Answer<absl::StatusOr<object::ObjectStat>> answer;
    peer_->Stat(caller_->session(), key, answer.Slot());
    return answer;
  }
  void AnswerLocate(absl::StatusOr<std::vector<ClusterObject>> found) {
    ASSERT_FALSE(cluster_.located.empty());
    const auto done = std::move(cluster_.located.front().second);
    cluster_.located.erase(cluster_.located.begin());
    done(std::move(found));
  }
  // Sealed and told of.
  object::SealResult PutTracked(const std::string& key, std::string_view bytes) {
    auto sealed = SealLater(Begin({.key = key}), bytes);
    cluster_.Answer(fmt::format("seal {} 7", key));
    return sealed.Get().value();
  }
  // Acknowledged `local`, and not told of yet.
  object::SealResult PutLocal(const std::string& key, std::string_view bytes) {
    return SealLater(caller_->CreateLater({.key = key, .ack = kLocal}).Get().value(), bytes).Get().value();
  }
  bool Readable(const std::string& key) {
    const auto grant = caller_->Get(key);
    if (grant.ok()) caller_->Release(*grant);
    return grant.ok();
  }

  std::map<std::string, object::NamespaceRules> rules_;
  absl::Status may_ask_;
  base::InlineExecutor executor_;
  ScriptedCluster cluster_;
  std::unique_ptr<object::TestNode> node_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<TrackedPeer> peer_;
  std::unique_ptr<object::Caller> caller_;
};

}  // namespace larder::cache_agent
