// The program larder-agent, as the node runs it.
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/client/client.h"
#include "tests/agent_process.h"

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;
using base::IsOk;
using base::StatusIs;
using testing::HasSubstr;

class Program : public testing::Test {
 protected:
  AgentProcess Start(const std::string& store = "memory", const std::string& arena = "64MiB") {
    return AgentProcess(dir_.path(), {"--store=" + store, "--arena=" + arena});
  }
  static std::unique_ptr<client::Client> Connect(const AgentProcess& agent) {
    auto connected = client::Client::Connect(agent.endpoint(), {.retries = 0});
    EXPECT_THAT(connected, IsOk());
    return *std::move(connected);
  }
  static absl::Status Put(client::Client& client, const std::string& key, size_t size) {
    const std::string bytes(size, 'x');
    return client.Put({.key = key}, base::AsBytes(bytes)).status();
  }
  // Runs it to its end; what it said.
  std::string Fail(const std::vector<std::string>& flags, int exit_code) {
    std::vector<std::string> argv = {LARDER_AGENT_BINARY};
    argv.insert(argv.end(), flags.begin(), flags.end());
    ChildProcess child(argv, ChildProcess::Output::kStderr);
    std::string said;
    for (std::string line = child.ReadLine(); !line.empty(); line = child.ReadLine()) said += line + "\n";
    EXPECT_EQ(child.Wait(), exit_code) << said;
    return said;
  }
  bool SocketsExist() const { return fs::exists(dir_ / "run/data.sock") || fs::exists(dir_ / "run/control.sock"); }

  base::TempDir dir_;
};

TEST_F(Program, SigtermStopsCleanly) {
  AgentProcess agent = Start();
  EXPECT_THAT(Put(*Connect(agent), "k", 10), IsOk());
  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(), 0);
  EXPECT_FALSE(SocketsExist());
}

TEST_F(Program, AfterAKillTheNextOneServesOnTheSameDirectories) {
  {
    AgentProcess agent = Start("file");
    auto client = Connect(agent);
    ASSERT_THAT(Put(*client, "small", 10), IsOk());
    ASSERT_THAT(Put(*client, "big", 3 << 20), IsOk());
    agent.Signal(SIGKILL);
    EXPECT_EQ(agent.Wait(), -SIGKILL);
    EXPECT_TRUE(SocketsExist());
  }
  AgentProcess agent = Start("file");
  auto client = Connect(agent);
  EXPECT_THAT(client->Get("small"), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(auto reader, client->Get("big"));
  EXPECT_EQ(reader->info().size, 3u << 20);
  EXPECT_THAT(Put(*client, "new", 1 << 20), IsOk());
}

TEST_F(Program, AClientOutlivesARestart) {
  auto first = std::make_unique<AgentProcess>(Start("file"));
  LARDER_ASSERT_OK_AND_ASSIGN(auto client, client::Client::Connect(first->endpoint()));
  ASSERT_THAT(Put(*client, "k", 10), IsOk());
  first->Signal(SIGKILL);
  first->Wait();
  first.reset();
  AgentProcess second = Start("file");
  EXPECT_THAT(client->Get("k"), IsOk());
}

TEST_F(Program, SigtermUnderLoadStopsCleanly) {
  for (const char* store : {"memory", "file"}) {
    AgentProcess agent = Start(store, "512MiB");
    std::atomic<int> done = 0;
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&, i] {
        auto client = Connect(agent);
        for (int n = 0;; ++n) {
          const std::string key = "load/" + std::to_string(i);
          const std::string bytes(n % 2 == 0 ? 3 << 20 : 1000, 'x');
          absl::Status status = client->Put({.key = key, .overwrite = true}, base::AsBytes(bytes)).status();
          if (status.ok()) status = client->Get(key).status();
          if (!status.ok()) {
            EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable));
            return;
          }
          ++done;
        }
      });
    }
    EXPECT_TRUE(Eventually([&] { return done > 50; }));
    agent.Signal(SIGTERM);
    EXPECT_EQ(agent.Wait(), 0) << store;
    EXPECT_FALSE(SocketsExist());
    for (std::thread& client : clients) client.join();
  }
}

TEST_F(Program, RefusesToStartWithOneLineAndACode) {
  AgentProcess agent = Start();
  const std::string same_dir = "--socket-dir=" + agent.socket_dir().string();
  const std::string other_dir = "--socket-dir=" + (dir_ / "other").string();
  const std::string any_port = "--listen-admin=127.0.0.1:0";
  const std::string taken_port = "--listen-admin=127.0.0.1:" + std::to_string(agent.admin_port());
  EXPECT_THAT(Fail({same_dir, any_port}, 4), HasSubstr("another process holds it"));
  EXPECT_THAT(Fail({other_dir, taken_port}, 4), HasSubstr("in use"));
  EXPECT_THAT(Fail({other_dir, any_port, "--arena=1TiB"}, 6), HasSubstr("lower 'arena'"));
  EXPECT_THAT(Fail({other_dir, any_port, "--store=memroy"}, 2), HasSubstr("did you mean 'memory'"));
  EXPECT_THAT(Put(*Connect(agent), "k", 10), IsOk());
}

}  // namespace
}  // namespace larder::cache_agent
