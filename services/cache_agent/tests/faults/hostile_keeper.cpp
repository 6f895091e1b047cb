#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "larder/base/file.h"
#include "tests/faults/hostile.h"
#include "tests/faults/pinned.h"

namespace larder::cache_agent {
namespace {

constexpr std::array<std::pair<Keeping, const char*>, 9> kNames = {{{Keeping::kMapping, "Mapping"},
                                                                    {Keeping::kDescriptor, "Descriptor"},
                                                                    {Keeping::kReopened, "Reopened"},
                                                                    {Keeping::kInFlight, "InFlight"},
                                                                    {Keeping::kFork, "Fork"},
                                                                    {Keeping::kThird, "ThirdProcess"},
                                                                    {Keeping::kPath, "Path"},
                                                                    {Keeping::kPipe, "Pipe"},
                                                                    {Keeping::kPinned, "Pinned"}}};

[[noreturn]] void Throw(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

base::UniqueFd Reopen(int fd, int flags) {
  base::UniqueFd again(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), flags | O_CLOEXEC));
  if (!again) Throw("reopen");
  return again;
}

std::vector<std::byte> Copy(const Memory& memory) { return {memory.bytes().begin(), memory.bytes().end()}; }

struct Pair {
  base::UniqueFd first, second;
};
Pair PairOf(int type) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0) Throw("socketpair");
  return {base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}
Pair MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) Throw("pipe");
  return {base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

void SendFd(int socket, int fd) {
  char byte = 'x';
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  const msghdr message{
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.data(), .msg_controllen = control.size()};
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::copy_n(reinterpret_cast<const unsigned char*>(&fd), sizeof fd, CMSG_DATA(header));
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) != 1) Throw("send a descriptor");
}

base::UniqueFd ReceiveFd(int socket) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.data(), .msg_controllen = control.size()};
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&message) == nullptr) {
    Throw("receive a descriptor");
  }
  int fd = -1;
  std::copy_n(CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd, reinterpret_cast<unsigned char*>(&fd));
  return base::UniqueFd(fd);
}

// A mapping whose descriptor is closed.
class MappingKeeper final : public Keeper {
 public:
  explicit MappingKeeper(Memory memory) : memory_(std::move(memory)) {}
  std::vector<std::byte> See() override { return Copy(memory_); }
  void Scribble(std::byte value) override { std::ranges::fill(memory_.bytes(), value); }

 private:
  Memory memory_;
};

// A descriptor of any kind, mapped only to look. Root opens an O_PATH one anew.
class DescriptorKeeper : public Keeper {
 public:
  DescriptorKeeper(base::UniqueFd fd, const WireExtent& extent, bool path)
      : fd_(std::move(fd)), extent_(extent), path_(path) {}
  std::vector<std::byte> See() override { return Copy(Map(O_RDONLY, PROT_READ)); }
  void Scribble(std::byte value) override { std::ranges::fill(Map(O_RDWR, PROT_READ | PROT_WRITE).bytes(), value); }

 private:
  Memory Map(int flags, int protection) const {
    const base::UniqueFd again = path_ ? Reopen(fd_.get(), flags) : base::UniqueFd();
    return Memory(path_ ? again.get() : fd_.get(), extent_.offset, extent_.length, protection);
  }
  base::UniqueFd fd_;
  WireExtent extent_;
  bool path_;
};

// The descriptor is nobody's: it lies in the queue of a socket.
class InFlightKeeper final : public Keeper {
 public:
  InFlightKeeper(base::UniqueFd fd, const WireExtent& extent) : sockets_(PairOf(SOCK_SEQPACKET)), extent_(extent) {
    SendFd(sockets_.first.get(), fd.get());
  }
  std::vector<std::byte> See() override { return Copy(Look(PROT_READ)); }
  void Scribble(std::byte value) override { std::ranges::fill(Look(PROT_READ | PROT_WRITE).bytes(), value); }

 private:
  Memory Look(int protection) const {
    const base::UniqueFd fd = ReceiveFd(sockets_.second.get());
    SendFd(sockets_.first.get(), fd.get());
    return Memory(fd.get(), extent_.offset, extent_.length, protection);
  }
  Pair sockets_;
  WireExtent extent_;
};

// Another process maps it: a child that inherited the mapping, or one that was given the descriptor.
class ProcessKeeper final : public Keeper {
 public:
  ProcessKeeper(base::UniqueFd fd, const WireExtent& extent, int protection, bool inherits)
      : pipe_(PairOf(SOCK_STREAM)), size_(extent.length) {
    Memory memory;
    if (inherits) memory = Memory(fd.get(), extent.offset, extent.length, protection);
    child_ = ::fork();
    if (child_ < 0) Throw("fork");
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      pipe_.first.Reset();
      fd.Reset();
      if (!inherits) {
        memory = Memory(ReceiveFd(pipe_.second.get()).get(), extent.offset, extent.length, protection);
      }
      Serve(memory);
    }
    pipe_.second.Reset();
    if (!inherits) SendFd(pipe_.first.get(), fd.get());
  }
  ~ProcessKeeper() override {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  std::vector<std::byte> See() override {
    Ask({'s', 0});
    std::vector<std::byte> seen(size_);
    for (size_t got = 0; got < seen.size();) {
      const ssize_t part = ::read(pipe_.first.get(), seen.data() + got, seen.size() - got);
      if (part <= 0) Throw("hear from a child");
      got += static_cast<size_t>(part);
    }
    return seen;
  }
  void Scribble(std::byte value) override {
    Ask({'w', static_cast<char>(value)});
    char done = 0;
    if (::read(pipe_.first.get(), &done, 1) != 1) Throw("hear from a child");
  }

 private:
  using Order = std::array<char, 2>;
  static constexpr ssize_t kOrder = sizeof(Order);
  void Ask(const Order& order) const {
    if (::write(pipe_.first.get(), order.data(), order.size()) != kOrder) Throw("order a child");
  }
  [[noreturn]] void Serve(const Memory& memory) const {
    Order order{};
    while (::read(pipe_.second.get(), order.data(), order.size()) == kOrder) {
      if (order[0] == 'w') std::ranges::fill(memory.bytes(), static_cast<std::byte>(order[1]));
      const base::ByteSpan answer = order[0] == 'w' ? base::ByteSpan(memory.bytes()).first(1) : memory.bytes();
      if (!base::WriteAll(pipe_.second.get(), answer).ok()) break;
    }
    ::_exit(0);
  }

  Pair pipe_;
  uint64_t size_;
  pid_t child_ = 0;
};

// Pages in a pipe, without a description of their file.
class PipeKeeper final : public Keeper {
 public:
  PipeKeeper(base::UniqueFd fd, const WireExtent& extent) : pages_(MakePipe()) {
    auto at = static_cast<off_t>(extent.offset);
    const ssize_t held = ::sendfile(pages_.second.get(), fd.get(), &at, kPipe);
    if (held <= 0) Throw("sendfile");
    held_ = static_cast<size_t>(held);
  }
  std::vector<std::byte> See() override {
    const Pair copy = MakePipe();
    if (::tee(pages_.first.get(), copy.second.get(), held_, 0) != static_cast<ssize_t>(held_)) Throw("tee");
    std::vector<std::byte> seen(held_);
    for (size_t got = 0; got < held_;) {
      const ssize_t part = ::read(copy.first.get(), seen.data() + got, held_ - got);
      if (part <= 0) Throw("read a pipe");
      got += static_cast<size_t>(part);
    }
    return seen;
  }
  void Scribble(std::byte) override {}  // a pipe's pages are not written through it: hostile_memory.cpp

 private:
  static constexpr size_t kPipe = 60 * 1024;  // what one takes, where the first page need not be whole
  Pair pages_;
  size_t held_ = 0;
};

class PinKeeper final : public Keeper {
 public:
  PinKeeper(base::UniqueFd fd, const WireExtent& extent)
      : size_(extent.length),
        pages_(Memory(fd.get(), extent.offset, extent.length, PROT_READ | PROT_WRITE).bytes()),
        other_(::memfd_create("other", MFD_CLOEXEC)) {
    if (!other_ || ::ftruncate(other_.get(), static_cast<off_t>(size_)) != 0) Throw("memfd_create");
  }
  std::vector<std::byte> See() override {
    pages_.WriteTo(other_.get());
    return Copy(Memory(other_.get(), 0, size_, PROT_READ));
  }
  void Scribble(std::byte value) override {
    std::ranges::fill(Memory(other_.get(), 0, size_, PROT_READ | PROT_WRITE).bytes(), value);
    pages_.FillFrom(other_.get());
  }

 private:
  uint64_t size_;
  PinnedPages pages_;
  base::UniqueFd other_;
};

}  // namespace

std::string KeepingName(Keeping keeping) {
  return std::ranges::find(kNames, keeping, &std::pair<Keeping, const char*>::first)->second;
}

Keeping KeepingOf(const std::string& name) {
  for (const auto& [keeping, its_name] : kNames) {
    if (name == its_name) return keeping;
  }
  throw std::invalid_argument(name);
}

std::unique_ptr<Keeper> MakeKeeper(Keeping keeping, base::UniqueFd fd, const WireExtent& extent, bool writable) {
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  switch (keeping) {
    case Keeping::kMapping:
      return std::make_unique<MappingKeeper>(Memory(fd.get(), extent.offset, extent.length, protection));
    case Keeping::kDescriptor:
      return std::make_unique<DescriptorKeeper>(std::move(fd), extent, false);
    case Keeping::kReopened:
      return std::make_unique<DescriptorKeeper>(Reopen(fd.get(), O_RDWR), extent, false);
    case Keeping::kInFlight:
      return std::make_unique<InFlightKeeper>(std::move(fd), extent);
    case Keeping::kFork:
    case Keeping::kThird:
      return std::make_unique<ProcessKeeper>(std::move(fd), extent, protection, keeping == Keeping::kFork);
    case Keeping::kPath:
      return std::make_unique<DescriptorKeeper>(Reopen(fd.get(), O_PATH), extent, true);
    case Keeping::kPipe:
      return std::make_unique<PipeKeeper>(std::move(fd), extent);
    case Keeping::kPinned:
      return std::make_unique<PinKeeper>(std::move(fd), extent);
  }
  throw std::invalid_argument("no way to keep");
}

}  // namespace larder::cache_agent
