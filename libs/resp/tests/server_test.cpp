#include "larder/resp/server.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "larder/resp/testing/memory_commands.h"
#include "tests/server_fixture.h"

using namespace larder;
using namespace larder::resp;

namespace {

// Keeps calls until the test answers them.
class HeldCommands final : public Commands {
 public:
  void Execute(Call call, Done done) override {
    base::MutexLock lock(mutex_);
    calls_.emplace_back(std::move(call), std::move(done));
    changed_.NotifyAll();
  }
  // The calls that came so far, at least `count`.
  std::vector<std::pair<Call, Done>> Wait(size_t count) {
    base::MutexLock lock(mutex_);
    while (calls_.size() < count) changed_.Wait(mutex_);
    return std::exchange(calls_, {});
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<std::pair<Call, Done>> calls_ LARDER_GUARDED_BY(mutex_);
};

class NobodyYet final : public Authenticator {
 public:
  bool Required() const override { return true; }
  bool Check(std::string_view, std::string_view, std::string&) const override { return false; }
};

}  // namespace

TEST(Server, RepliesKeepOrderThoughCallsEndInAnother) {
  HeldCommands commands;
  TestServer server(commands);
  Client client = server.Connect();
  client.Send("GET a\r\nPING\r\nGET b\r\n");
  auto calls = commands.Wait(2);
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(std::get<Get>(calls[1].first.operation).key, "b");
  calls[1].second({.bytes = "$1\r\n2\r\n"});
  calls[0].second({.bytes = "$1\r\n1\r\n"});
  EXPECT_EQ(client.ReadUntil("2\r\n"), "$1\r\n1\r\n+PONG\r\n$1\r\n2\r\n");
}

TEST(Server, AReadIsHandedOverOnceTheWritesBeforeItAreAnswered) {
  HeldCommands commands;
  TestServer server(commands);
  Client client = server.Connect();
  client.Send("SET a 1\r\nSET b 2\r\nGET a\r\n");
  auto writes = commands.Wait(2);
  ASSERT_EQ(writes.size(), 2u);  // and not the read
  for (auto& [call, done] : writes) done({.bytes = "+OK\r\n"});
  auto reads = commands.Wait(1);
  EXPECT_EQ(reads[0].first.op, Op::kGet);
  reads[0].second(ErrorReply(base::Error(absl::StatusCode::kInternal, "BROKEN", "broken")));
  EXPECT_EQ(client.ReadUntil("broken\r\n").substr(0, 11), "+OK\r\n+OK\r\n-");
}

TEST(Server, OneClientTooManyGetsRedisErrorAndIsClosed) {
  base::SystemClock clock;
  resp::testing::MemoryCommands commands(clock);
  TestServer server(commands, {.max_clients = 1});
  Client first = server.Connect();
  first.Send("PING\r\n");
  EXPECT_EQ(first.ReadUntil("\r\n"), "+PONG\r\n");
  EXPECT_EQ(server.Connect().ReadToEnd(), "-ERR max number of clients reached\r\n");
  first.Send("PING\r\n");
  EXPECT_EQ(first.ReadUntil("\r\n"), "+PONG\r\n");
}

TEST(Server, WhoDoesNotAuthenticateInTimeIsClosed) {
  HeldCommands commands;
  const NobodyYet nobody;
  TestServer server(commands, {.auth_timeout = std::chrono::milliseconds(1)}, &nobody);
  EXPECT_EQ(server.Connect().ReadToEnd(), "");
}

TEST(Server, ARequestThatGrowsTooLongClosesTheConnection) {
  HeldCommands commands;
  TestServer server(commands, {.max_request = 100'000});
  Client client = server.Connect();
  client.Send("*1000\r\n");
  const std::string argument = "$1000\r\n" + std::string(1000, 'x') + "\r\n";
  bool open = true;
  for (int i = 0; i < 999 && open; ++i) open = client.Send(argument);
  EXPECT_EQ(client.ReadToEnd(), "");
}

TEST(Server, StopAnswersWhatWasReadAndCountsIt) {
  HeldCommands commands;
  TestServer server(commands, {.threads = 2});
  Client client = server.Connect();
  client.Send("GET a\r\n");
  auto calls = commands.Wait(1);
  auto stopped = std::async(std::launch::async, [&] { server.server().Stop(base::kNoDeadline); });
  calls[0].second({.bytes = "$1\r\n1\r\n"});
  EXPECT_EQ(client.ReadToEnd(), "$1\r\n1\r\n");
  stopped.get();
  const std::string metrics = server.registry().Render();
  EXPECT_NE(metrics.find("larder_resp_connections 0"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("larder_resp_commands_total{op=\"get\",code=\"OK\"} 1"), std::string::npos) << metrics;
}

TEST(Server, StopCutsWhatIsNotAnsweredByTheDeadline) {
  HeldCommands commands;
  TestServer server(commands);
  Client client = server.Connect();
  client.Send("GET a\r\n");
  auto calls = commands.Wait(1);
  server.server().Stop(base::Deadline::min());
  EXPECT_EQ(client.ReadToEnd(), "");
  calls[0].second({.bytes = "$1\r\n1\r\n"});  // nobody is there to take it
}
