#include <algorithm>
#include <future>
#include <thread>

#include "tests/member_under_test.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using std::chrono::seconds;

v1::StreamRequest Grant(uint64_t number) {
  v1::StreamRequest request;
  request.set_number(number);
  v1::GrantLease& grant = *request.mutable_apply()->add_commands()->mutable_grant_lease();
  grant.set_name("l");
  grant.set_holder("h");
  grant.set_ttl_ms(60'000);
  return request;
}

v1::StreamRequest Find(uint64_t number, int count, const std::string& key = "k") {
  v1::StreamRequest request;
  request.set_number(number);
  for (int i = 0; i < count; ++i) {
    v1::ObjectId& id = *request.mutable_locate()->add_objects();
    id.set_namespace_("team");
    id.set_key(key);
  }
  return request;
}

// A client's end of a stream.
class Client {
 public:
  explicit Client(v1::Tracker::Stub& stub) {
    context_.set_deadline(std::chrono::system_clock::now() + seconds(60));
    stream_ = stub.Stream(&context_);
  }
  bool Write(const v1::StreamRequest& request) { return stream_->Write(request); }
  void SaidAll() { stream_->WritesDone(); }
  std::optional<v1::StreamResponse> Read() {
    v1::StreamResponse response;
    if (!stream_->Read(&response)) return std::nullopt;
    return response;
  }
  void Leave() { context_.TryCancel(); }
  absl::Status Finish() { return rpc::FromGrpc(stream_->Finish(), context_); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamRequest, v1::StreamResponse>> stream_;
};

class StreamTest : public MemberTest {
 protected:
  explicit StreamTest(const StreamLimits& limits = {}) : MemberTest(1, limits) {
    Run("open_session {}");  // it leads
  }
};

TEST_F(StreamTest, TenThousandRequestsAreAppliedInTheirOrder) {
  constexpr uint64_t kRequests = 10'000;
  Client client(*stub_);
  std::thread writer([&] {
    for (uint64_t number = 1; number <= kRequests; ++number) EXPECT_TRUE(client.Write(Grant(number)));
    client.SaidAll();
  });
  std::vector<uint64_t> tokens(kRequests + 1);
  for (uint64_t i = 1; i <= kRequests; ++i) {
    const auto response = client.Read();
    ASSERT_TRUE(response && response->applied().results_size() == 1) << i;
    tokens.at(response->number()) = response->applied().results(0).lease_granted().token();
  }
  writer.join();
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), IsOk());
  // Tokens grow with every grant; 0 is one that was not answered.
  EXPECT_EQ(std::ranges::adjacent_find(tokens, std::greater_equal<>()), tokens.end());
}

TEST_F(StreamTest, LocatesBesideWhatItApplies) {
  Client client(*stub_);
  ASSERT_TRUE(client.Write(Grant(1)));
  ASSERT_TRUE(client.Write(Find(2, 3)));
  std::map<uint64_t, v1::StreamResponse> answers;
  for (int i = 0; i < 2; ++i) {
    const auto response = client.Read();
    ASSERT_TRUE(response);
    answers[response->number()] = *response;
  }
  EXPECT_TRUE(answers[1].has_applied());
  ASSERT_EQ(answers[2].located().objects_size(), 3);
  EXPECT_EQ(answers[2].located().objects(0).object().id().key(), "k");
  client.SaidAll();
  EXPECT_THAT(client.Finish(), IsOk());
}

TEST_F(StreamTest, ARequestThatFailsEndsNoOther) {
  Client client(*stub_);
  v1::StreamRequest none;
  none.set_number(7);
  ASSERT_TRUE(client.Write(none));
  const auto failed = client.Read();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->number(), 7u);
  EXPECT_EQ(failed->failure().code(), static_cast<int>(StatusCode::kInvalidArgument));
  EXPECT_EQ(failed->failure().reason(), "BAD_FIELD");

  v1::StreamRequest empty = Find(8, 0);
  empty.mutable_locate();
  ASSERT_TRUE(client.Write(empty));
  EXPECT_EQ(client.Read()->failure().reason(), "BAD_BATCH");
  v1::StreamRequest batch = Grant(9);
  batch.mutable_apply()->add_commands();
  ASSERT_TRUE(client.Write(batch));
  EXPECT_EQ(client.Read()->failure().message(), "commands[1].command is missing, or of a newer version");
  ASSERT_TRUE(client.Write(Grant(10)));
  EXPECT_TRUE(client.Read()->has_applied());
  client.SaidAll();
  EXPECT_THAT(client.Finish(), IsOk());
}

TEST_F(StreamTest, WhatIsInFlightIsAnsweredAfterTheClientSaidAll) {
  held_.Hold();
  Client client(*stub_);
  for (uint64_t number = 1; number <= 3; ++number) ASSERT_TRUE(client.Write(Grant(number)));
  client.SaidAll();
  ASSERT_TRUE(held_.WaitForHeld(3));
  held_.Release();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client.Read()->has_applied());
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), IsOk());
}

TEST_F(StreamTest, AClientThatLeavesMidStreamLeavesNothingBehind) {
  held_.Hold();
  {
    Client client(*stub_);
    for (uint64_t number = 1; number <= 3; ++number) ASSERT_TRUE(client.Write(Grant(number)));
    ASSERT_TRUE(client.Write(Find(4, 1)));
    ASSERT_TRUE(held_.WaitForHeld(4));
    client.Leave();
    EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kCancelled));
  }
  server_.Stop(base::kNoDeadline);  // hangs if the call is still open
  held_.Release();                  // answers for nobody
}

TEST_F(StreamTest, AnIdleStreamEndsWhenTheMemberStops) {
  Client client(*stub_);
  ASSERT_TRUE(client.Write(Grant(1)));
  ASSERT_TRUE(client.Read());
  StopServer(seconds(60));
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kUnavailable, "STOPPING"));
}

TEST_F(StreamTest, AStreamThatStopsAnswersWhatItBegan) {
  held_.Hold();
  Client client(*stub_);
  for (uint64_t number = 1; number <= 3; ++number) ASSERT_TRUE(client.Write(Grant(number)));
  ASSERT_TRUE(held_.WaitForHeld(3));
  rpc_.Stop();
  held_.Release();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client.Read()->has_applied());
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kUnavailable, "STOPPING"));
}

TEST_F(StreamTest, AStreamThatBeginsTooLateIsRefused) {
  rpc_.Stop();
  Client client(*stub_);
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kUnavailable, "STOPPING"));
}

TEST_F(StreamTest, TheServerDoesNotWaitForAnswersThatNobodyGives) {
  held_.Hold();
  Client client(*stub_);
  ASSERT_TRUE(client.Write(Grant(1)));
  ASSERT_TRUE(held_.WaitForHeld(1));
  StopServer(base::Duration::zero());
  EXPECT_EQ(client.Read(), std::nullopt);
  EXPECT_FALSE(client.Finish().ok());
  held_.Release();
}

// What is in flight at once, with every answer held back and given one by one.
class LimitedStream : public StreamTest {
 protected:
  explicit LimitedStream(const StreamLimits& limits) : StreamTest(limits) {}

  // Sends `count` requests, of which `limit` fit, and sees that never more are in flight.
  void ExpectBounded(const v1::StreamRequest& request, uint64_t count, size_t limit) {
    held_.Hold();
    Client client(*stub_);
    std::thread writer([&] {
      for (uint64_t i = 0; i < count; ++i) EXPECT_TRUE(client.Write(request));
      client.SaidAll();
    });
    for (uint64_t answered = 0; answered < count; ++answered) {
      ASSERT_TRUE(held_.WaitForHeld(std::min<size_t>(limit, count - answered)));
      held_.ReleaseOne();
      ASSERT_TRUE(client.Read());
    }
    writer.join();
    EXPECT_THAT(client.Finish(), IsOk());
    EXPECT_EQ(held_.most_held(), limit);
    held_.Release();
  }
};

class FewRequests : public LimitedStream {
 protected:
  FewRequests() : LimitedStream({.requests = 8}) {}
};
TEST_F(FewRequests, NoMoreAreInFlightThanFit) { ExpectBounded(Grant(1), 100, 8); }

class FewLocates : public LimitedStream {
 protected:
  FewLocates() : LimitedStream({.locates = 3}) {}
};
TEST_F(FewLocates, NoMoreAreInFlightThanFit) { ExpectBounded(Find(1, 1), 50, 3); }

class FewBytes : public LimitedStream {
 protected:
  // Room for ten of Grant(1) is not full at nine and a half.
  FewBytes() : LimitedStream({.bytes = 10 * Grant(1).ByteSizeLong() - Grant(1).ByteSizeLong() / 2}) {}
};
TEST_F(FewBytes, NoMoreAreInFlightThanFit) { ExpectBounded(Grant(1), 100, 10); }

class UnreadStream : public StreamTest {
 protected:
  UnreadStream() : StreamTest({.bytes = 4 << 20}) {}
};
// 128 MiB are asked for; what the server, both transports and the client's window hold is a small part of it.
TEST_F(UnreadStream, AClientThatNeverReadsIsNotReadFrom) {
  constexpr uint64_t kRequests = 128;
  const std::string part(250, 'k');
  const v1::StreamRequest request = Find(1, 1000, part + "/" + part + "/" + part + "/" + part);
  Client client(*stub_);
  std::promise<void> said_all;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kRequests; ++i) {
      if (!client.Write(request)) return;
    }
    said_all.set_value();
  });
  EXPECT_EQ(said_all.get_future().wait_for(seconds(2)), std::future_status::timeout);
  client.Leave();
  writer.join();
  EXPECT_THAT(client.Finish(), StatusIs(StatusCode::kCancelled));
}

}  // namespace
}  // namespace larder::tracker
