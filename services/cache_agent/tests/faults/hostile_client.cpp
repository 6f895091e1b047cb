// A hostile client, root in a pod of its own if it may be, that does what it is told, line by line on its standard
// input, and answers each with a line: hostile_client SOCKET_DIR [CGROUP].
//   open NS               a connection in the namespace                    "OK", or the error
//   put KEY SIZE          an object of its own                             "OK", or the error
//   seal KEY SIZE         one through a window that it writes all the time "OK", or the error
//   change KEY            tries to change its sealed memory                "N refused", or what changed
//   keep HOW KEY          holds on to a sealed object's memory and says that it does not
//   keep HOW window SIZE  the same with a window                           "OK", or what bars the way
//   crc                   of what is kept, as it is now
//   finds WORD            how often the eight bytes are in what is kept
//   scribble              writes all the time to what is kept, until "rest"
//   rake WORD             how often they are in all memory that it is given
//   let go                of what is kept
//   forge LEASE EPOCH     uses others' leases                              "OPERATION REASON, …"
//   key HEX               uses a key                                       likewise
//   mangle NS SEED ROUNDS records that no honest client sends              what came of them
//   flood KIND NS COUNT   processes that flood, until "calm"               "OK"
//   run CPU normal|idle   has that processor, or its idle moments, from now on     "OK", or the error
//   heir                  a forked child goes on in this one's place, which ends   "OK"
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/status.h"
#include "tests/faults/busy_client.h"
#include "tests/faults/hostile.h"

namespace larder::cache_agent {
namespace {

constexpr uint32_t kManySegments = 4096;

std::string TextOf(const absl::Status& status) {
  if (status.ok()) return "OK";
  return fmt::format("{} {}: {}", absl::StatusCodeToString(status.code()), base::Reason(status), base::Message(status));
}

uint64_t Count(base::ByteSpan bytes, const std::string& word) {
  const std::string_view text = base::AsText(bytes);
  uint64_t count = 0;
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + word.size())) ++count;
  return count;
}

// Writes to memory all the time, from a thread of its own, until the end of its life.
class Scribbler {
 public:
  explicit Scribbler(std::function<void(std::byte)> write)
      : thread_([this, write = std::move(write)] {
          for (uint8_t value = 1; !stop_; ++value) write(std::byte{value});
        }) {}
  ~Scribbler() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class Interpreter {
 public:
  explicit Interpreter(std::string socket_dir) : socket_dir_(std::move(socket_dir)) {}

  std::string Do(const std::string& line) {
    std::istringstream in(line);
    std::string verb;
    in >> verb;
    const std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
    if (verb == "open") return TextOf(Open(words.at(0)));
    if (verb == "put") return TextOf(Put(words.at(0), std::stoull(words.at(1))));
    if (verb == "seal") return TextOf(SealUnderWrites(words.at(0), std::stoull(words.at(1))));
    if (verb == "change") return Change(words.at(0));
    if (verb == "keep") {
      return TextOf(words.at(1) == "window" ? KeepWindow(KeepingOf(words.at(0)), std::stoull(words.at(2)))
                                            : KeepObject(KeepingOf(words.at(0)), words.at(1)));
    }
    if (verb == "crc") return std::to_string(base::Crc32c(kept_->See()));
    if (verb == "finds") return std::to_string(Count(kept_->See(), words.at(0)));
    if (verb == "scribble") scribbler_.emplace([this](std::byte value) { kept_->Scribble(value); });
    if (verb == "rest") scribbler_.reset();
    if (verb == "rake") return Rake(words.at(0));
    if (verb == "let") kept_.reset();
    if (verb == "forge") return UseForgedLeases(*client_, {std::stoull(words.at(0)), std::stoull(words.at(1))});
    if (verb == "key") return UseKey(*client_, FromHex(words.empty() ? "" : words.at(0)));
    if (verb == "mangle") {
      return SendMangled(socket_dir_, words.at(0), static_cast<unsigned>(std::stoul(words.at(1))),
                         std::stoi(words.at(2)));
    }
    if (verb == "flood") return Begin(FloodOf(words.at(0)), words.at(1), std::stoi(words.at(2)));
    if (verb == "calm") EndFloods();
    if (verb == "run") return RunOn(std::stoul(words.at(0)), words.at(1) == "idle" ? SCHED_IDLE : SCHED_OTHER);
    if (verb == "heir") return GoOnAsAChild();
    return "OK";
  }

 private:
  static std::string FromHex(const std::string& hex) {
    std::string text;
    for (size_t at = 0; at + 1 < hex.size(); at += 2) {
      text += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
    }
    return text;
  }

  absl::Status Open(const std::string& ns) {
    LARDER_ASSIGN_OR_RETURN(client_, RawClient::Greeted(socket_dir_, ns));
    return absl::OkStatus();
  }

  absl::Status Put(const std::string& key, uint64_t size) {
    const std::string bytes = Pattern(key, size);
    LARDER_ASSIGN_OR_RETURN(const Creating creating, client_->Create(key, {.size_hint = size, .overwrite = true}));
    for (uint64_t at = 0; at < size; at += kInlineLimit) {
      LARDER_RETURN_IF_ERROR(
          client_->WriteInline(creating, base::AsBytes(bytes).subspan(at, std::min(kInlineLimit, size - at))));
    }
    return client_->Seal(creating, size);
  }

  absl::Status SealUnderWrites(const std::string& key, uint64_t size) {
    LARDER_ASSIGN_OR_RETURN(const Creating creating, client_->Create(key, {.size_hint = size, .overwrite = true}));
    LARDER_ASSIGN_OR_RETURN(const Shared window, client_->Window(creating.lease, size));
    const std::vector<Memory> memory = MapAll(window, PROT_READ | PROT_WRITE);
    const Scribbler scribbler([&](std::byte value) { std::ranges::fill(memory.front().bytes(), value); });
    LARDER_RETURN_IF_ERROR(client_->WriteShared(creating, false, 0, static_cast<uint32_t>(size)));
    return client_->Seal(creating, size);
  }

  std::string Change(const std::string& key) {
    const auto got = client_->Get(key);
    if (!got.ok()) return TextOf(got.status());
    const std::vector<std::string> said = ChangeSealedMemory(got->shared);
    std::vector<std::string> changed;
    std::ranges::copy_if(said, std::back_inserter(changed), [](const auto& way) { return way.ends_with("CHANGED"); });
    if (changed.empty()) return fmt::format("{} refused", said.size());
    return fmt::format("{}", fmt::join(changed, "; "));
  }

  absl::Status KeepObject(Keeping keeping, const std::string& key) {
    LARDER_ASSIGN_OR_RETURN(Got got, client_->Get(key));
    kept_ = MakeKeeper(keeping, std::move(got.shared.fds.at(0)), got.shared.extents.at(0), false);
    LARDER_RETURN_IF_ERROR(client_->Release(got.lease));
    LARDER_RETURN_IF_ERROR(client_->Delete(key));
    return SayUnmapped();
  }

  absl::Status KeepWindow(Keeping keeping, uint64_t size) {
    LARDER_ASSIGN_OR_RETURN(const Creating creating, client_->Create("kept window"));
    LARDER_ASSIGN_OR_RETURN(Shared window, client_->Window(creating.lease, size));
    kept_ = MakeKeeper(keeping, std::move(window.fds.at(0)), window.extents.at(0), true);
    window.fds.clear();
    LARDER_RETURN_IF_ERROR(client_->Discard(creating));
    return SayUnmapped();
  }

  // Of everything, whatever it has.
  absl::Status SayUnmapped() const {
    std::vector<uint32_t> all(kManySegments);
    for (uint32_t segment = 0; segment < kManySegments; ++segment) all[segment] = segment;
    return client_->Unmapped(all);
  }

  // All of the slabs that an object of its own and new windows lie in, not only their part.
  std::string Rake(const std::string& word) {
    uint64_t found = 0;
    const auto look = [&](const Shared& shared) {
      for (size_t i = 0; i < shared.fds.size(); ++i) {
        found += Count(Memory(shared.fds[i].get(), 0, shared.extents[i].segment_size, PROT_READ).bytes(), word);
      }
    };
    const absl::Status put = Put("raked", 100'000);
    const auto got = client_->Get("raked");
    if (!got.ok()) return TextOf(put) + TextOf(got.status());
    look(got->shared);
    while (true) {
      const auto creating = client_->Create("raked window", {.wait_ms = 0, .overwrite = true});
      const auto window = creating.ok() ? client_->Window(creating->lease, 4 << 20) : creating.status();
      if (window.ok()) look(*window);
      if (creating.ok()) client_->Discard(*creating).IgnoreError();
      if (!window.ok() || ++raked_ % 8 == 0) break;
    }
    return std::to_string(found);
  }

  std::string Begin(Flood flood, const std::string& ns, int count) {
    int ready[2];
    if (::pipe(ready) != 0) return "no pipe";
    for (int i = 0; i < count; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        bool said = false;
        RunFlood(flood, socket_dir_, ns, [&] {
          if (!std::exchange(said, true) && ::write(ready[1], "+", 1) != 1) ::_exit(1);
        });
        ::_exit(1);
      }
      if (pid > 0) floods_.push_back(pid);
    }
    ::close(ready[1]);
    char said = 0;
    int begun = 0;
    while (begun < count && ::read(ready[0], &said, 1) == 1) ++begun;
    ::close(ready[0]);
    return begun == count ? "OK" : fmt::format("{} of {} floods began", begun, count);
  }

  static std::string RunOn(size_t cpu, int policy) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    const sched_param none{};
    const bool done = ::sched_setaffinity(0, sizeof set, &set) == 0 && ::sched_setscheduler(0, policy, &none) == 0;
    return done ? "OK" : std::strerror(errno);
  }

  void EndFloods() {
    for (const pid_t pid : floods_) ::kill(pid, SIGKILL);
    for (const pid_t pid : floods_) ::waitpid(pid, nullptr, 0);
    floods_.clear();
  }

  static std::string GoOnAsAChild() {
    const base::UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    if (::fork() != 0) ::_exit(0);
    pollfd exit{.fd = self.get(), .events = POLLIN, .revents = 0};
    return ::poll(&exit, 1, -1) == 1 ? "OK" : "cannot wait";
  }

  const std::string socket_dir_;
  std::optional<RawClient> client_;
  std::unique_ptr<Keeper> kept_;
  std::optional<Scribbler> scribbler_;  // after what it writes
  std::vector<pid_t> floods_;
  int raked_ = 0;
};

std::string Join(const std::string& cgroup) {
  std::ofstream procs(cgroup + "/cgroup.procs");
  procs << ::getpid() << std::flush;
  return procs ? "" : "cannot join " + cgroup;
}

}  // namespace
}  // namespace larder::cache_agent

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (argc > 2) {
    if (const std::string wrong = larder::cache_agent::Join(argv[2]); !wrong.empty()) return 2;
  }
  fmt::print("{}\n", larder::cache_agent::EnterPod() ? "in a pod" : "in no pod");
  std::fflush(stdout);
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
