#include "larder/rpc/run_service.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"

namespace larder::rpc {

struct GreeterConfig {
  std::string start = "stop";  // what Start does: stop, hang_up, fail or loiter
  std::string edits;           // the file that Start changes before it hangs up
  std::string greeting = "hello";
};

void Declare(config::Binder& binder, GreeterConfig& config) {
  binder.Text("start", &config.start, {.help = "What Start does."});
  binder.Text("edits", &config.edits, {.help = "A file to change."});
  binder.Text("greeting", &config.greeting, {.help = "What is said.", .reloadable = true});
}

// Sends signals to itself, as it runs in a process of its own. Tells on stderr what happens to it.
class Greeter {
 public:
  using Config = GreeterConfig;
  static constexpr ServiceInfo kInfo = {
      .service = "greeter", .binary = "larder-greeter", .summary = "Greets.", .admin_port = 0};

  Greeter(const Config& config, Process& process) : config_(config), process_(process) {}
  ~Greeter() { std::fprintf(stderr, "[gone]"); }

  absl::Status Start() {
    process_.SetReady(true);
    if (config_.start == "fail")
      return base::Error(absl::StatusCode::kUnavailable, "NO_PEER", "greet: nobody is there");
    if (!config_.edits.empty()) std::ofstream(config_.edits) << "greeting: good day\n";
    ::kill(::getpid(), config_.start == "hang_up" ? SIGHUP : SIGTERM);
    return absl::OkStatus();
  }
  void Stop(base::Deadline deadline) {
    const base::Duration left = deadline - process_.clock().Now();
    std::fprintf(stderr, "[stop %s]", left > base::Duration() && left <= kStopTime ? "in time" : "late");
    if (config_.start == "loiter") ::kill(::getpid(), SIGTERM);
  }
  absl::Status Reload(const Config& config) {
    std::fprintf(stderr, "[reload %s]", config.greeting.c_str());
    ::kill(::getpid(), SIGTERM);
    return absl::OkStatus();
  }

 private:
  const Config config_;
  Process& process_;
};

namespace {

using ::testing::ExitedWithCode;

class RunServiceDeathTest : public ::testing::Test {
 protected:
  // Starts the child afresh: threads of other tests would not have the signals blocked.
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static int Run(std::vector<std::string> args) {
    args.insert(args.begin(), "larder-greeter");
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    return RunService<Greeter>(static_cast<int>(argv.size()), argv.data());
  }
};

TEST_F(RunServiceDeathTest, StopsOnSigterm) {
  EXPECT_EXIT(std::exit(Run({"--listen-admin=127.0.0.1:0"})), ExitedWithCode(0), "\\[stop in time\\].*\\[gone\\]");
}

TEST_F(RunServiceDeathTest, EndsWellThoughASecondSignalComesWhileItStops) {
  EXPECT_EXIT(std::exit(Run({"--listen-admin=127.0.0.1:0", "--start=loiter"})), ExitedWithCode(0), "\\[gone\\]");
}

TEST_F(RunServiceDeathTest, AFailedStartExitsWithTheErrorsCodeAndOneLine) {
  EXPECT_EXIT(std::exit(Run({"--listen-admin=127.0.0.1:0", "--start=fail"})), ExitedWithCode(7),
              "larder-greeter: greet: nobody is there\n\\[gone\\]$");
}

TEST_F(RunServiceDeathTest, ABadFlagExitsWithTheCodeOfUsageErrors) {
  EXPECT_EXIT(std::exit(Run({"--greetin=hi"})), ExitedWithCode(2), "^larder-greeter: .*greetin.*greeting");
  EXPECT_EXIT(std::exit(Run({"--listen-admin=nowhere"})), ExitedWithCode(2), "^larder-greeter: .*nowhere");
}

TEST_F(RunServiceDeathTest, HelpVersionAndPrintConfigExitWithoutAStart) {
  for (const char* flag : {"--help", "--version", "--print-config"}) {
    EXPECT_EXIT(std::exit(Run({flag})), ExitedWithCode(0), "^$") << flag;
  }
}

TEST_F(RunServiceDeathTest, SighupReloadsTheFile) {
  const auto run = [] {
    const base::TempDir dir;
    const std::string file = (dir / "greeter.yaml").native();
    std::ofstream(file) << "greeting: hello\n";
    return Run({"--listen-admin=127.0.0.1:0", "--start=hang_up", "--edits=" + file, "--config=" + file});
  };
  EXPECT_EXIT(std::exit(run()), ExitedWithCode(0), "\\[reload good day\\]");
}

TEST(ProcessOptionsFor, KnowsWhetherTheAdminPortWasAskedFor) {
  const ServiceInfo info = {.service = "greeter", .binary = "larder-greeter", .summary = "Greets.", .admin_port = 7499};
  auto loader = ServiceLoader<GreeterConfig>(info);
  ASSERT_THAT(loader.Load({}), base::IsOk());
  const ProcessOptions unset = ProcessOptionsFor(info, loader.config().process, loader.effective());
  EXPECT_EQ(unset.admin.port, 7499);
  EXPECT_TRUE(unset.admin.port_is_default);
  ASSERT_THAT(loader.Load({.env = {{"LARDER_GREETER_LISTEN_ADMIN", "127.0.0.1:7499"}}}), base::IsOk());
  const ProcessOptions set = ProcessOptionsFor(info, loader.config().process, loader.effective());
  EXPECT_EQ(set.admin.host, "127.0.0.1");
  EXPECT_FALSE(set.admin.port_is_default);
  EXPECT_EQ(set.log.service, "greeter");
}

}  // namespace
}  // namespace larder::rpc
