#include "larder/client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "larder/base/testing/status_matchers.h"

namespace larder::client {
namespace {

using base::IsOk;
using base::StatusIs;

absl::Status Lost() { return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "gone"); }

// An agent that does as the script says: one entry per dial, one per call; past its end all is well.
struct Script {
  std::deque<absl::Status> dials;
  std::deque<absl::Status> calls;
  int dialed = 0;
  int called = 0;

  static absl::Status Next(std::deque<absl::Status>& steps) {
    if (steps.empty()) return absl::OkStatus();
    const absl::Status step = steps.front();
    steps.pop_front();
    return step;
  }
};

class ScriptedChannel final : public object::Channel {
 public:
  explicit ScriptedChannel(Script& script) : script_(script) {}
  absl::StatusOr<std::unique_ptr<object::ObjectWriter>> Create(const object::CreateRequest&, base::Deadline) override {
    return Step();
  }
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> Get(const std::string&, base::Deadline) override {
    return Step();
  }
  absl::StatusOr<object::SealResult> Put(const object::CreateRequest&, base::ByteSpan, base::Deadline) override {
    if (absl::Status status = Call(); !status.ok()) return status;
    return object::SealResult();
  }
  absl::StatusOr<object::ObjectInfo> Stat(const std::string& key) override {
    if (absl::Status status = Call(); !status.ok()) return status;
    return object::ObjectInfo{.id = {.ns = ns_, .key = key}};
  }
  absl::StatusOr<object::ListPage> List(const object::ListRequest&) override {
    if (absl::Status status = Call(); !status.ok()) return status;
    return object::ListPage();
  }
  absl::Status Delete(const std::string&) override { return Call(); }
  absl::Status SetPinned(const std::string&, bool) override { return Call(); }
  const std::string& ns() const override { return ns_; }
  const std::string& node() const override { return node_; }
  bool broken() const override { return broken_; }

 private:
  absl::Status Call() {
    ++script_.called;
    absl::Status status = Script::Next(script_.calls);
    broken_ = base::Reason(status) == "CONNECTION_LOST";
    return status;
  }
  // The scripts here end before anybody uses a writer or reader.
  absl::Status Step() {
    absl::Status status = Call();
    return status.ok() ? absl::UnimplementedError("no such thing in this test") : status;
  }
  Script& script_;
  bool broken_ = false;
  std::string ns_ = "team", node_ = "node-7";
};

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    transports_.Add({.name = "script",
                     .help = "",
                     .dial = [this](const std::string& address, const object::DialOptions& options)
                         -> absl::StatusOr<std::unique_ptr<object::Channel>> {
                       ++script_.dialed;
                       address_ = address;
                       asked_ns_ = options.ns;
                       if (absl::Status status = Script::Next(script_.dials); !status.ok()) return status;
                       return std::make_unique<ScriptedChannel>(script_);
                     },
                     .listen = {}});
  }
  absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& endpoint = "script://there") {
    return Client::Connect(
        endpoint,
        {.ns = "team", .wait = [this](base::Duration wait) { waits_.push_back(wait); }, .transports = &transports_});
  }
  static absl::Status NoAgent() { return base::Error(absl::StatusCode::kUnavailable, "NO_AGENT", "nobody at there"); }

  Script script_;
  std::string address_, asked_ns_;
  std::vector<base::Duration> waits_;
  object::TransportRegistry transports_{"transport"};
};

TEST_F(ClientTest, PicksTheTransportByTheEndpointsScheme) {
  auto client = Connect();
  ASSERT_THAT(client.status(), IsOk());
  EXPECT_EQ(address_, "there");
  EXPECT_EQ(asked_ns_, "team");
  EXPECT_EQ((*client)->ns(), "team");
  EXPECT_EQ((*client)->node(), "node-7");
  const auto unknown = Connect("scrpt://there");
  EXPECT_THAT(unknown.status(), StatusIs(absl::StatusCode::kInvalidArgument, "UNKNOWN_SCHEME"));
  EXPECT_THAT(base::Message(unknown.status()), testing::HasSubstr("'script'"));
  EXPECT_THAT(Connect("there").status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_URI"));
}

TEST_F(ClientTest, TriesAnAbsentAgentThreeTimesMoreWithGrowingJitteredPauses) {
  script_.dials.assign(10, NoAgent());
  EXPECT_THAT(Connect().status(), StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
  EXPECT_EQ(script_.dialed, 4);
  ASSERT_EQ(waits_.size(), 3u);
  base::Duration whole = std::chrono::milliseconds(100);
  for (const base::Duration wait : waits_) {
    EXPECT_GE(wait, whole / 2);
    EXPECT_LE(wait, whole);
    whole *= 2;
  }
}

TEST_F(ClientTest, ConnectsAnewByItselfAfterARestart) {
  auto client = Connect();
  ASSERT_THAT(client.status(), IsOk());
  script_.calls = {Lost()};
  EXPECT_THAT((*client)->Stat("k").status(), IsOk());
  EXPECT_EQ(script_.dialed, 2);
  EXPECT_EQ(script_.called, 2);
  EXPECT_TRUE(waits_.empty()) << "a restarted agent is there at once";
}

TEST_F(ClientTest, RepeatsOnlyWhatIsSafeToRepeat) {
  auto client = *Connect();
  const auto lost_once = [&](const std::function<absl::Status()>& call) {
    script_.calls = {Lost()};
    return call();
  };
  EXPECT_THAT(lost_once([&] { return client->Put({.key = "k"}, {}).status(); }),
              StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_THAT(lost_once([&] { return client->Delete("k"); }),
              StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_THAT(lost_once([&] { return client->Put({.key = "k", .overwrite = true}, {}).status(); }), IsOk());
  EXPECT_THAT(lost_once([&] { return client->Put({}, {}).status(); }), IsOk()) << "content-addressed";
  EXPECT_THAT(lost_once([&] { return client->SetPinned("k", true); }), IsOk());
  EXPECT_THAT(lost_once([&] { return client->List({}).status(); }), IsOk());
}

TEST_F(ClientTest, AnAnswerIsNeverRetried) {
  auto client = *Connect();
  const absl::Status full = base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL", "no room");
  script_.calls = {full};
  EXPECT_THAT(client->Put({.key = "k", .overwrite = true}, {}).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  EXPECT_EQ(script_.called, 1);
  EXPECT_EQ(script_.dialed, 1);
}

TEST_F(ClientTest, GivesUpOnAConnectionThatBreaksEveryTime) {
  auto client = *Connect();
  script_.calls.assign(10, Lost());
  EXPECT_THAT(client->Stat("k").status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_EQ(script_.called, 4);
}

}  // namespace
}  // namespace larder::client
