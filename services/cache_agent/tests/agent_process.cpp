#include "tests/agent_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

extern char** environ;

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;

struct Pipe {
  base::UniqueFd read;
  base::UniqueFd write;
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    read.Reset(ends[0]);
    write.Reset(ends[1]);
  }
};

std::vector<std::string> AgentCommand(const fs::path& dir, const fs::path& socket_dir,
                                      const std::vector<std::string>& flags, std::vector<std::string> argv) {
  argv.insert(argv.end(), {AgentBinary(), "--listen-admin=127.0.0.1:0", "--log-format=json", "--node-name=node-0",
                           "--socket-dir=" + socket_dir.string(), "--data-dir=" + (dir / "data").string()});
  argv.insert(argv.end(), flags.begin(), flags.end());
  return argv;
}

uint64_t KibibytesOf(const fs::path& status, const std::string& field) {
  std::ifstream in(status);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(field + ":")) return std::strtoull(line.c_str() + field.size() + 1, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& argv, Output output) {
  Pipe in;
  Pipe out;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out.write.get(),
                                     output == Output::kStdout ? STDOUT_FILENO : STDERR_FILENO);
  std::vector<char*> raw;
  for (const std::string& arg : argv) raw.push_back(const_cast<char*>(arg.c_str()));
  raw.push_back(nullptr);
  const int error = ::posix_spawn(&pid_, raw[0], &actions, nullptr, raw.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::system_error(error, std::generic_category(), argv[0]);
  input_ = std::move(in.write);
  output_ = std::move(out.read);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      rest_(std::move(other.rest_)) {}

ChildProcess::~ChildProcess() {
  if (pid_ == 0) return;
  Signal(SIGKILL);
  Wait();
}

void ChildProcess::WriteLine(const std::string& line) {
  if (absl::Status written = base::WriteAll(input_.get(), base::AsBytes(line + "\n")); !written.ok()) {
    throw std::runtime_error(base::Message(written));
  }
}

std::string ChildProcess::ReadLine() {
  while (true) {
    if (const size_t end = rest_.find('\n'); end != rest_.npos) {
      std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      return line;
    }
    std::array<char, 4096> part;
    const ssize_t size = ::read(output_.get(), part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return std::exchange(rest_, {});
    rest_.append(part.data(), static_cast<size_t>(size));
  }
}

std::string ChildProcess::Ask(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(input_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return {};
  return ReadLine();
}

void ChildProcess::Signal(int signal) const { ::kill(pid_, signal); }

int ChildProcess::Wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string AgentBinary() {
  const char* chosen = std::getenv("LARDER_AGENT_BINARY");
  return chosen != nullptr ? chosen : LARDER_AGENT_BINARY;
}

AgentProcess::AgentProcess(const fs::path& dir, std::vector<std::string> flags, std::vector<std::string> wrapper)
    : socket_dir_(dir / "run"),
      child_(AgentCommand(dir, socket_dir_, flags, std::move(wrapper)), ChildProcess::Output::kStderr) {
  std::string said;
  while (true) {
    const std::string line = child_.ReadLine();
    if (line.empty()) throw std::runtime_error("larder-agent did not start: " + said);
    said += line + "\n";
    if (line.find("\"admin port serving\"") != line.npos) {
      admin_port_ = std::atoi(line.c_str() + line.find("\"port\":") + sizeof("\"port\":") - 1);
    }
    if (line.find("\"event\":\"started\"") != line.npos) return;
  }
}

std::string AgentProcess::endpoint() const { return "uds://" + socket_dir_.string(); }

std::string AgentProcess::Scrape() const {
  httplib::Client http("127.0.0.1", admin_port_);
  const auto answer = http.Get("/metrics");
  return answer ? answer->body : "";
}

double AgentProcess::Metric(const std::string& series) const { return MetricIn(Scrape(), series); }

double MetricIn(const std::string& text, const std::string& series) {
  const size_t at = text.find("\n" + series + " ");
  return at == text.npos ? -1 : std::strtod(text.c_str() + at + 1 + series.size(), nullptr);
}

AgentProcess::Footprint AgentProcess::Measure() const {
  const fs::path proc = fs::path("/proc") / std::to_string(pid());
  Footprint footprint;
  footprint.fds = static_cast<size_t>(std::distance(fs::directory_iterator(proc / "fd"), fs::directory_iterator()));
  std::ifstream maps(proc / "maps");
  for (std::string line; std::getline(maps, line);) ++footprint.maps;
  footprint.rss = KibibytesOf(proc / "status", "VmRSS");
  footprint.anon = KibibytesOf(proc / "status", "RssAnon");
  return footprint;
}

uint64_t AgentProcess::Slack() const {
  if (kThreadSanitizer) return 256 * base::kMiB;   // its shadow of what is mapped anew, elsewhere
  if (kAddressSanitizer) return 128 * base::kMiB;  // a quarantine, and a part of it for each thread
  return 4 * base::kMiB;
}

bool Eventually(const std::function<bool()>& condition, std::chrono::seconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    ::poll(nullptr, 0, 1);  // another process's state has no event to wait for
  }
  return true;
}

}  // namespace larder::cache_agent
