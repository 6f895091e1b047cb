// What begins or ends with a process.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <vector>

#include "src/rows.h"

namespace larder::bench {
namespace {

// A forked child's life: it says when it holds the create lease, and is killed.
[[noreturn]] void CreateAndWait(const std::string& endpoint, int ready) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto client = Must(client::Client::Connect(endpoint));
  auto writer = Must(client->Create({.key = "victim"}));
  const std::vector<std::byte> bytes(2 * kMiB);
  Must(writer->Write(bytes));
  if (::write(ready, "x", 1) != 1) ::_exit(1);
  while (true) ::pause();
}

}  // namespace

void CliRows(Bench& bench) {
  Agent agent(bench.dir + "/cli", "4GiB");
  const std::string file = bench.tmpfs + "/1g", copy = bench.tmpfs + "/copy", larder = ProgramPath("larder");
  {
    const std::vector<char> bytes(kGiB, 'x');
    std::ofstream(file).write(bytes.data(), kGiB);
  }
  const auto gone = [&] { std::filesystem::remove(copy); };
  const auto cli = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), larder);
    arguments.insert(arguments.end(), {"--endpoint", agent.endpoint(), "--no-progress"});
    RunToEnd(arguments);
  };
  cli({"import", file, "--key", "cli"});
  const auto timings = bench.watch.InTurn(1, {
                                                 {.run =
                                                      [&] {
                                                        cli({"import", file, "--key", "cli"});
                                                      },
                                                  .before = [&] { Must(agent.client().Delete("cli")); }},
                                                 {.run =
                                                      [&] {
                                                        cli({"export", "cli", "-O", copy});
                                                      },
                                                  .before = gone},
                                                 {.run =
                                                      [&] {
                                                        RunToEnd({"cp", file, copy});
                                                      },
                                                  .before = gone},
                                             });
  gone();
  std::filesystem::remove(file);
  bench.report.Add("agent.cli_import_1g", "larder import of 1 GiB", timings[0], {{"cp to tmpfs", timings[2]}});
  bench.report.Add("agent.cli_export_1g", "larder export of 1 GiB", timings[1], {{"cp to tmpfs", timings[2]}});
}

// From the SIGKILL of a creator to the moment that its key is another's.
void ReclaimRows(Bench& bench) {
  Agent agent(bench.dir + "/reclaim", "256MiB");
  std::vector<double> samples;
  for (int i = 0; i < 100; ++i) {
    int ready[2];
    if (::pipe(ready) != 0) Die("pipe");
    const pid_t victim = ::fork();
    if (victim == 0) CreateAndWait(agent.endpoint(), ready[1]);
    char byte = 0;
    ::close(ready[1]);
    if (::read(ready[0], &byte, 1) != 1) Die("a victim did not get its lease");
    ::close(ready[0]);
    const auto begin = std::chrono::steady_clock::now();
    ::kill(victim, SIGKILL);
    auto writer = Must(agent.client().Create({.key = "victim"}));
    samples.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    ::waitpid(victim, nullptr, 0);
    Must(writer->Discard());
  }
  bench.report.Add("agent.dead_creator_reclaim", "dead creator to key free, p99",
                   {.seconds = Percentile(samples, 0.99)}, {{"p50 of it", {.seconds = Percentile(samples, 0.5)}}});
}

}  // namespace larder::bench
