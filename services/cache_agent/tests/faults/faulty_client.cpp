// A client that does what it is told, line by line on its standard input, and answers each with a line:
// faulty_client SOCKET_DIR. So a test can stop it, or kill it, in the middle of anything.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "larder/base/status.h"
#include "tests/faults/busy_client.h"

namespace larder::cache_agent {
namespace {

std::string TextOf(const absl::Status& status) {
  if (status.ok()) return "OK";
  return fmt::format("{} {}: {}", absl::StatusCodeToString(status.code()), base::Reason(status), base::Message(status));
}

// Children that are in the middle of everything, each of its own connection.
class Wave {
 public:
  explicit Wave(std::string socket_dir) : socket_dir_(std::move(socket_dir)) {}

  // Returns when all are in the middle of it: OK, or what went wrong.
  std::string Start(int count) {
    int ready[2];
    if (::pipe(ready) != 0) return "no pipe";
    for (int i = 0; i < count; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::close(ready[0]);
        BeOne(i, ready[1]);
      }
      if (pid > 0) pids_.push_back(pid);
    }
    ::close(ready[1]);
    std::string said(static_cast<size_t>(count), '\0');
    size_t got = 0;
    for (ssize_t part = 1; part > 0 && got < said.size(); got += static_cast<size_t>(part)) {
      part = ::read(ready[0], said.data() + got, said.size() - got);
      if (part < 0) break;
    }
    ::close(ready[0]);
    if (said == std::string(said.size(), '+')) return "OK";
    return fmt::format("{} of {} clients began", std::ranges::count(said, '+'), count);
  }
  // How many were killed, and have ended.
  int Kill() {
    for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
    int killed = 0;
    for (const pid_t pid : pids_) {
      int status = 0;
      killed += ::waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) ? 1 : 0;
    }
    pids_.clear();
    return killed;
  }

 private:
  [[noreturn]] void BeOne(int number, int ready) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const Doing doing = kAllDoings.at(static_cast<size_t>(number) % kAllDoings.size());
    const auto busy = BusyClient::Begin(socket_dir_, doing, fmt::format("wave/{}", number));
    if (!busy.ok()) fmt::print(stderr, "{}: {}\n", DoingName(doing), TextOf(busy.status()));
    const char said = busy.ok() ? '+' : '-';
    if (::write(ready, &said, 1) != 1) ::_exit(1);
    ::close(ready);
    while (true) ::pause();
  }

  const std::string socket_dir_;
  std::vector<pid_t> pids_;
};

class Interpreter {
 public:
  explicit Interpreter(std::string socket_dir) : socket_dir_(socket_dir), wave_(std::move(socket_dir)) {}

  std::string Do(const std::string& line) {
    std::istringstream in(line);
    std::string verb, first, second;
    in >> verb >> first >> second;
    if (verb == "wave") return wave_.Start(std::stoi(first));
    if (verb == "kill") return std::to_string(wave_.Kill());
    if (verb == "begin") {
      busy_.reset();
      auto begun = BusyClient::Begin(socket_dir_, DoingOf(first), second);
      if (begun.ok()) busy_ = *std::move(begun);
      return TextOf(begun.status());
    }
    if (!busy_) return "nothing is begun";
    if (verb == "finish") return TextOf(busy_->Finish());
    if (verb == "seal") return TextOf(busy_->raw().Seal(busy_->creating(), 0));
    if (verb == "crc") return std::to_string(busy_->Crc());
    if (verb == "scribble") {
      busy_->Scribble(static_cast<std::byte>(std::stoi(first)));
      return "OK";
    }
    if (verb == "hangup") {
      busy_->raw().Hangup();
      return "OK";
    }
    return "unknown: " + line;
  }

 private:
  const std::string socket_dir_;
  Wave wave_;
  std::optional<BusyClient> busy_;
};

}  // namespace
}  // namespace larder::cache_agent

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  larder::cache_agent::Interpreter interpreter(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    std::string answer;
    try {
      answer = interpreter.Do(line);
    } catch (const std::exception& e) {
      answer = e.what();
    }
    fmt::print("{}\n", answer);
    std::fflush(stdout);
  }
  return 0;
}
