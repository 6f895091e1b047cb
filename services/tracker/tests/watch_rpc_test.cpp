#include <algorithm>
#include <future>
#include <random>
#include <thread>

#include "core/watch.h"
#include "tests/member_under_test.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using std::chrono::seconds;
using testing::HasSubstr;

// A client's end of a watch.
class Client {
 public:
  Client(v1::Tracker::Stub& stub, const v1::WatchRequest& request) {
    context_.set_deadline(std::chrono::system_clock::now() + seconds(60));
    stream_ = stub.Watch(&context_, request);
  }
  std::optional<v1::WatchResponse> Read() {
    v1::WatchResponse response;
    if (!stream_->Read(&response)) return std::nullopt;
    return response;
  }
  // The keys of the next `count` events; fewer if the watch ends.
  std::vector<std::string> Keys(size_t count) {
    std::vector<std::string> keys;
    while (keys.size() < count) {
      const auto response = Read();
      if (!response) break;
      for (const v1::Event& event : response->events()) keys.push_back(event.object().id().key());
    }
    return keys;
  }
  void Leave() { context_.TryCancel(); }
  absl::Status Finish() { return rpc::FromGrpc(stream_->Finish(), context_); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> stream_;
};

v1::WatchRequest From(uint64_t revision, uint32_t ordinal = 0) {
  v1::WatchRequest request;
  request.mutable_from()->set_revision(revision);
  request.mutable_from()->set_ordinal(ordinal);
  return request;
}

v1::WatchRequest From(const v1::WatchPosition& position) { return From(position.revision(), position.ordinal()); }

class WatchTest : public MemberTest {
 protected:
  explicit WatchTest(const WatchLimits& limits = {}) : MemberTest(1, {}, limits) {
    Run("open_session {}");  // it leads
  }

  // One entry of an event for each key.
  void MakeDirs(const std::vector<std::string>& keys, const std::string& ns = "team") {
    v1::ApplyRequest request;
    for (const std::string& key : keys) {
      v1::ObjectId& directory = *request.add_commands()->mutable_make_dir()->mutable_directory();
      directory.set_namespace_(ns);
      directory.set_key(key);
    }
    const auto response = Call(&v1::Tracker::Stub::Apply, request);
    ASSERT_THAT(response, IsOk());
    for (const v1::Result& result : response->results()) ASSERT_TRUE(result.has_done()) << result.ShortDebugString();
  }
  // Entries of one to seven events; all keys, in order.
  std::vector<std::string> MakeRun(int entries) {
    std::vector<std::string> all;
    for (int i = 0; i < entries; ++i) {
      std::vector<std::string> keys;
      for (int j = 0; j <= i % 7; ++j) keys.push_back("d" + std::to_string(i) + "-" + std::to_string(j));
      MakeDirs(keys);
      all.insert(all.end(), keys.begin(), keys.end());
    }
    return all;
  }
  uint64_t End() const { return state_.mark().at.index + 1; }
  bool HasWatchers(int count) {
    return registry_.Render().find("\nlarder_tracker_watchers " + std::to_string(count) + "\n") != std::string::npos;
  }
};

TEST_F(WatchTest, EventsComeInOrderInPagesOfAnySize) {
  Client from_the_beginning(*stub_, From(0));
  const std::vector<std::string> made = MakeRun(40);
  EXPECT_EQ(from_the_beginning.Keys(made.size()), made);
  std::mt19937 random(7);
  for (int i = 0; i < 10; ++i) {
    v1::WatchRequest request = From(0);
    request.set_page_size(1 + random() % 12);
    Client client(*stub_, request);
    std::vector<std::string> told;
    std::pair<uint64_t, uint64_t> last;
    while (told.size() < made.size()) {
      const auto response = client.Read();
      ASSERT_TRUE(response);
      EXPECT_LE(response->events_size(), static_cast<int>(request.page_size()));
      for (const v1::Event& event : response->events()) {
        EXPECT_LE(last, std::pair(event.revision(), event.at_log_ns()));
        last = {event.revision(), event.at_log_ns()};
        EXPECT_EQ(event.kind(), v1::EVENT_KIND_DIRECTORY_MADE);
        told.push_back(event.object().id().key());
      }
    }
    EXPECT_EQ(told, made) << request.page_size();
  }
}

TEST_F(WatchTest, AClientGoesOnFromEachPosition) {
  const std::vector<std::string> made = MakeRun(9);
  v1::WatchRequest one_by_one = From(0);
  one_by_one.set_page_size(1);
  Client client(*stub_, one_by_one);
  for (size_t told = 0; told < made.size();) {
    const auto response = client.Read();
    ASSERT_TRUE(response);
    told += static_cast<size_t>(response->events_size());
    const std::vector<std::string> rest(made.begin() + static_cast<std::ptrdiff_t>(told), made.end());
    EXPECT_EQ(Client(*stub_, From(response->next())).Keys(rest.size()), rest);
  }
}

TEST_F(WatchTest, ToldWhileTheyAreMade) {
  Client first(*stub_, From(End()));
  Client second(*stub_, From(End()));
  auto made = std::async(std::launch::async, [this] { return MakeRun(60); });
  constexpr size_t kEvents = 8 * 28 + 1 + 2 + 3 + 4;
  const auto told = first.Keys(kEvents);
  EXPECT_EQ(told, made.get());
  EXPECT_EQ(second.Keys(kEvents), told);
  EXPECT_TRUE(HasWatchers(2));
}

TEST_F(WatchTest, WithoutAPositionItBeginsAtTheEndAndTellsIt) {
  MakeDirs({"before"});
  Client client(*stub_, {});
  const auto begun = client.Read();
  ASSERT_TRUE(begun);
  EXPECT_EQ(begun->events_size(), 0);
  EXPECT_EQ(begun->next().revision(), End());
  MakeDirs({"after"});
  EXPECT_EQ(client.Keys(1), std::vector<std::string>{"after"});
}

TEST_F(WatchTest, FromAListNothingIsLeftOutOrRepeated) {
  MakeDirs({"a"});
  const auto list = Ask(&v1::Tracker::Stub::List, R"(namespace: "team" delimited: true)");
  ASSERT_THAT(list, IsOk());
  MakeDirs({"b"});
  ASSERT_EQ(list->entries_size(), 1);
  EXPECT_EQ(Client(*stub_, From(list->revision())).Keys(1), std::vector<std::string>{"b"});
}

TEST_F(WatchTest, OnlyWhatMatchesIsTold) {
  ASSERT_TRUE(Run(R"(grant_lease { name: "l" holder: "h" ttl_ms: 60000 })").has_lease_granted());
  const uint64_t epoch = Run(R"(register_node { node: "n" incarnation: 1 })").node_registered().node_epoch();
  MakeDirs({"a", "b"});
  MakeDirs({"b"}, "other");

  v1::WatchRequest request = From(0);
  request.add_kinds(v1::EVENT_KIND_LEASE_GRANTED);
  const v1::Event lease = Client(*stub_, request).Read()->events(0);
  EXPECT_EQ(lease.kind(), v1::EVENT_KIND_LEASE_GRANTED);
  EXPECT_EQ(lease.lease().name(), "l");
  EXPECT_EQ(lease.lease().holder(), "h");
  EXPECT_GT(lease.lease().token(), 0u);

  request = From(0);
  request.set_node("n");
  const v1::Event node = Client(*stub_, request).Read()->events(0);
  EXPECT_EQ(node.kind(), v1::EVENT_KIND_NODE_REGISTERED);
  EXPECT_EQ(node.node().epoch(), epoch);

  request = From(0);
  request.set_namespace_("team");
  request.set_prefix("b");
  EXPECT_EQ(Client(*stub_, request).Read()->events_size(), 1);
}

TEST_F(WatchTest, WhatIsNoWatchEndsTheCall) {
  const auto end_of = [this](const v1::WatchRequest& request) {
    Client client(*stub_, request);
    EXPECT_EQ(client.Read(), std::nullopt);
    return client.Finish();
  };
  v1::WatchRequest request = From(0);
  request.set_prefix("p");
  EXPECT_THAT(end_of(request), StatusIs(StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
  request = From(0);
  request.set_page_size(1001);
  EXPECT_THAT(end_of(request), StatusIs(StatusCode::kInvalidArgument, "BAD_LIMIT"));
  for (const int kind : {0, v1::EventKind_MAX + 1}) {
    request = From(0);
    request.add_kinds(static_cast<v1::EventKind>(kind));
    EXPECT_THAT(end_of(request), StatusIs(StatusCode::kInvalidArgument, "BAD_FIELD")) << kind;
  }
  request = From(0);
  request.set_node(std::string(254, 'n'));
  EXPECT_THAT(end_of(request), StatusIs(StatusCode::kInvalidArgument, "BAD_FIELD"));
  EXPECT_TRUE(HasWatchers(0));
  EXPECT_THAT(registry_.Render(), HasSubstr(R"(larder_tracker_requests_total{op="watch",code="INVALID_ARGUMENT"} 5)"));
}

TEST_F(WatchTest, WhatIsForgottenCannotBeTold) {
  MakeDirs({"a"});
  const uint64_t before = End();
  Entry later{.stamp = After(state_.mark().now, std::chrono::hours(1))};
  later.commands.push_back(MakeDir{{"team", "b"}});
  std::promise<void> applied;
  node_->Propose(EncodeEntry(later), [&](const absl::StatusOr<std::string>& reply) {
    EXPECT_THAT(reply, IsOk());
    applied.set_value();
  });
  applied.get_future().wait();
  Client client(*stub_, From(before - 1));
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kOutOfRange, "REVISION_GONE"));
  EXPECT_EQ(Client(*stub_, From(before)).Keys(1), std::vector<std::string>{"b"});
}

TEST_F(WatchTest, FromWhatIsNotReachedYetNothingIsToldUntilItIs) {
  const uint64_t ahead = End() + 2;
  Client client(*stub_, From(ahead, 1));
  const auto begun = client.Read();
  ASSERT_TRUE(begun);
  EXPECT_EQ(begun->next().revision(), ahead);
  EXPECT_EQ(begun->next().ordinal(), 1u);
  MakeDirs({"a"});
  MakeDirs({"b"});
  MakeDirs({"c", "d"});
  const auto told = client.Read();
  ASSERT_TRUE(told);
  ASSERT_EQ(told->events_size(), 1);
  EXPECT_EQ(told->events(0).revision(), ahead);
  EXPECT_EQ(told->events(0).object().id().key(), "d");
}

TEST_F(WatchTest, AKeepAliveTellsHowFarItIs) {
  v1::WatchRequest request = From(0);
  request.set_namespace_("other");
  Client client(*stub_, request);
  ASSERT_TRUE(client.Read());
  MakeDirs({"a"});
  // A page that was being read when the entry came may be told first.
  for (uint64_t told = 0; told < End();) {
    rpc_.KeepAlive();
    const auto alive = client.Read();
    ASSERT_TRUE(alive);
    EXPECT_EQ(alive->events_size(), 0);
    told = alive->next().revision();
  }
}

TEST_F(WatchTest, AClientThatLeavesLeavesNothingBehind) {
  Client client(*stub_, From(0));
  ASSERT_TRUE(client.Read());
  EXPECT_TRUE(HasWatchers(1));
  client.Leave();
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kCancelled));
  server_.Stop(base::kNoDeadline);  // hangs if the call is still open
  EXPECT_TRUE(HasWatchers(0));
}

TEST_F(WatchTest, WatchesEndWhenTheMemberStops) {
  Client client(*stub_, From(0));
  ASSERT_TRUE(client.Read());
  StopServer(seconds(60));
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kUnavailable, "STOPPING"));
  EXPECT_TRUE(HasWatchers(0));
}

TEST_F(WatchTest, AWatchThatWaitsForItsBeginningEndsWhenTheMemberStops) {
  held_.Hold();
  Client client(*stub_, {});
  ASSERT_TRUE(held_.WaitForHeld(1));
  rpc_.Stop();
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kUnavailable, "STOPPING"));
  held_.Release();
}

TEST_F(WatchTest, AWatchThatBeginsTooLateIsRefused) {
  rpc_.Stop();
  Client client(*stub_, From(0));
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kUnavailable, "STOPPING"));
}

TEST_F(WatchTest, WatchesEndWithTheReaders) {
  Client client(*stub_, From(0));
  ASSERT_TRUE(client.Read());
  readers_.Stop();
  rpc_.KeepAlive();
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kUnavailable, "STOPPING"));
}

class LittleRoom : public WatchTest {
 protected:
  LittleRoom() : WatchTest({.bytes = 64 << 10}) {}
  // About a megabyte of events.
  std::vector<std::string> MakeMany(int entry) {
    const std::string part(240, 'k');
    std::vector<std::string> keys;
    for (int i = 0; i < 1000; ++i) {
      keys.push_back(part + "/" + part + "/" + part + "/" + std::to_string(entry) + "-" + std::to_string(i));
    }
    MakeDirs(keys);
    return keys;
  }
};

TEST_F(LittleRoom, AClientThatReadsGetsAllOfALongHistory) {
  std::vector<std::string> made;
  for (int i = 0; i < 3; ++i) {
    const auto keys = MakeMany(i);
    made.insert(made.end(), keys.begin(), keys.end());
  }
  EXPECT_TRUE(Client(*stub_, From(0)).Keys(made.size()) == made);
}

TEST_F(LittleRoom, AClientThatReadsNothingIsLeftBehindAndGoesOn) {
  std::vector<std::string> made;
  Client client(*stub_, From(0));
  ASSERT_TRUE(client.Read());
  // What the transports and the client's window take is a small part of it.
  for (int i = 0; i < 64 && !HasWatchers(0); ++i) {
    const auto keys = MakeMany(i);
    made.insert(made.end(), keys.begin(), keys.end());
    rpc_.KeepAlive();
  }
  ASSERT_TRUE(HasWatchers(0));
  std::vector<std::string> told;
  v1::WatchPosition next;
  while (const auto response = client.Read()) {
    for (const v1::Event& event : response->events()) told.push_back(event.object().id().key());
    next = response->next();
  }
  const absl::Status end = client.Finish();
  EXPECT_THAT(end, StatusIs(StatusCode::kResourceExhausted, "WATCH_BEHIND"));
  EXPECT_THAT(std::string(end.message()), HasSubstr("from revision " + std::to_string(next.revision()) + ", event " +
                                                    std::to_string(next.ordinal()) + ")"));
  ASSERT_LT(told.size(), made.size());
  const auto rest = Client(*stub_, From(next)).Keys(made.size() - told.size());
  told.insert(told.end(), rest.begin(), rest.end());
  EXPECT_TRUE(told == made);
}

class WatchWithoutQuorum : public MemberTest {
 protected:
  WatchWithoutQuorum() : MemberTest(2) {}
};

TEST_F(WatchWithoutQuorum, OnlyTheEndCannotBeTold) {
  Client known(*stub_, From(0));
  EXPECT_TRUE(known.Read());
  Client end(*stub_, {});
  EXPECT_EQ(end.Read(), std::nullopt);
  EXPECT_THAT(end.Finish(), StatusIs(StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
}

}  // namespace
}  // namespace larder::tracker
