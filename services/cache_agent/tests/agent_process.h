#pragma once
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "larder/base/unique_fd.h"

namespace larder::cache_agent {

// Built with a sanitizer, as then are the programs under test: what the kernel counts for them is its, too.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
#ifdef __SANITIZE_THREAD__
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// A program that was started, with pipes to its input and from its output. Killed, if it still runs, at the end of its
// life. One thread uses it.
class ChildProcess {
 public:
  // What the child's lines are read from.
  enum class Output { kStdout, kStderr };
  ChildProcess(const std::vector<std::string>& argv, Output output);
  ~ChildProcess();
  ChildProcess(ChildProcess&&) noexcept;

  int pid() const { return pid_; }
  void WriteLine(const std::string& line);
  // The next line, without its end; empty at the end of the output.
  std::string ReadLine();
  // Writes a line, and reads the next.
  std::string Ask(const std::string& line);
  void Signal(int signal) const;
  // Waits for its end: its exit code, or minus the signal that killed it.
  int Wait();

 private:
  int pid_ = 0;
  base::UniqueFd input_;
  base::UniqueFd output_;
  std::string rest_;
};

// The program under test: $LARDER_AGENT_BINARY, or the one that was built beside the test.
std::string AgentBinary();

// The real larder-agent, started in directories below `dir` and serving when the constructor returns.
class AgentProcess {
 public:
  // `wrapper` is a command that runs the one that follows it, in its own process.
  AgentProcess(const std::filesystem::path& dir, std::vector<std::string> flags, std::vector<std::string> wrapper = {});

  std::string endpoint() const;
  std::filesystem::path socket_dir() const { return socket_dir_; }
  int admin_port() const { return admin_port_; }
  int pid() const { return child_.pid(); }
  // The value of a series of /metrics, as in `larder_lease_active{kind="read"}`; -1 if there is none.
  double Metric(const std::string& series) const;
  // The text of /metrics; empty if it does not answer.
  std::string Scrape() const;
  void Signal(int signal) const { child_.Signal(signal); }
  int Wait() { return child_.Wait(); }

  // What the kernel counts for it.
  struct Footprint {
    size_t fds = 0;
    size_t maps = 0;
    uint64_t rss = 0;   // bytes, the arena among them
    uint64_t anon = 0;  // bytes of rss that are private memory
  };
  Footprint Measure() const;
  // How far private memory may wander: threads' heaps and tables; sanitizers keep what was freed for a while.
  uint64_t Slack() const;
  // How many maps may come: none, but a sanitizer's own memory grows by maps.
  size_t MoreMaps() const { return kAddressSanitizer || kThreadSanitizer ? 64 : 0; }

 private:
  const std::filesystem::path socket_dir_;
  ChildProcess child_;
  int admin_port_ = 0;
};

// The value of a series in the text of /metrics; -1 if there is none.
double MetricIn(const std::string& text, const std::string& series);

// Asks again and again, for at most `patience`, until `condition` holds; whether it did.
bool Eventually(const std::function<bool()>& condition, std::chrono::seconds patience = std::chrono::seconds(10));

}  // namespace larder::cache_agent
