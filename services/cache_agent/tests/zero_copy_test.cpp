// Proof that a get hands over memory, not bytes: what crosses the socket is counted, what is mapped is looked up.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/client/client.h"
#include "tests/agent_process.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;
using base::IsOk;
using base::kMiB;

constexpr uint64_t kSize = 32 * kMiB;
constexpr size_t kLargestRecord = 128 * 1024;
constexpr size_t kMostFds = 64;

sockaddr_un AddressOf(const fs::path& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

// Stands between one client and the agent, passes records with their descriptors on, and counts the bytes.
class CountingProxy {
 public:
  CountingProxy(const fs::path& client_dir, const fs::path& agent_dir) {
    fs::create_directories(client_dir);
    const sockaddr_un here = AddressOf(client_dir / "data.sock");
    const sockaddr_un there = AddressOf(agent_dir / "data.sock");
    listener_.Reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    agent_.Reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    EXPECT_EQ(::connect(agent_.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
    thread_ = std::thread([this] { Run(); });
  }
  ~CountingProxy() { thread_.join(); }  // ends with the client's connection
  uint64_t bytes() const { return bytes_; }
  uint64_t fds() const { return fds_; }

 private:
  void Run() {
    base::UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<pollfd, 2> ready = {pollfd{.fd = client.get(), .events = POLLIN},
                                   pollfd{.fd = agent_.get(), .events = POLLIN}};
    while (::poll(ready.data(), ready.size(), -1) > 0) {
      if (ready[0].revents != 0 && !PassOn(client.get(), agent_.get())) return;
      if (ready[1].revents != 0 && !PassOn(agent_.get(), client.get())) return;
    }
  }
  bool PassOn(int from, int to) {
    static thread_local std::vector<char> record(kLargestRecord);
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control{};
    iovec part = {record.data(), record.size()};
    msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.data(), .msg_controllen = control.size()};
    const ssize_t size = ::recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    if (size <= 0) return false;
    bytes_ += static_cast<uint64_t>(size);
    part.iov_len = static_cast<size_t>(size);
    const bool sent = ::sendmsg(to, &message, MSG_NOSIGNAL) == size;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
        ::close(fd);
        ++fds_;
      }
    }
    return sent;
  }

  base::UniqueFd listener_;
  base::UniqueFd agent_;
  std::atomic<uint64_t> bytes_ = 0;
  std::atomic<uint64_t> fds_ = 0;
  std::thread thread_;
};

// The inodes that this process has mapped within `bytes`.
std::vector<uint64_t> MappedInodes(base::ByteSpan bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  std::vector<uint64_t> inodes;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0, inode = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %*s %*x %*s %lu", &from, &to, &inode) != 3) continue;
    if (from < begin + bytes.size() && begin < to) inodes.push_back(inode);
  }
  return inodes;
}

// The agent's descriptor of that inode, opened anew.
base::UniqueFd OpenAgentsMemory(int agent_pid, uint64_t inode) {
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(agent_pid) + "/fd")) {
    struct stat st {};
    if (::stat(entry.path().c_str(), &st) == 0 && st.st_ino == inode &&
        fs::read_symlink(entry.path()).string().starts_with("/memfd:")) {
      return base::UniqueFd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    }
  }
  return base::UniqueFd();
}

class ZeroCopy : public testing::Test {
 protected:
  void SetUp() override {
    std::mt19937_64 random(1);
    for (size_t i = 0; i < content_.size(); i += sizeof(uint64_t)) {
      const uint64_t word = random();
      std::memcpy(content_.data() + i, &word, sizeof word);
    }
    auto client = client::Client::Connect(agent_.endpoint());
    ASSERT_THAT(client, IsOk());
    ASSERT_THAT((*client)->Put({.key = "big"}, base::AsBytes(content_)), IsOk());
  }
  static base::Sha256Digest ShaOf(base::ByteSpan bytes) {
    base::Sha256 sha;
    sha.Update(bytes);
    return sha.Finish();
  }

  std::string content_ = std::string(kSize, '\0');
  base::TempDir dir_;
  AgentProcess agent_{dir_.path(), {"--arena=128MiB"}};
};

TEST_F(ZeroCopy, AGetCrossesTheSocketWithoutItsBytes) {
  CountingProxy proxy(dir_ / "proxy", agent_.socket_dir());
  {
    LARDER_ASSERT_OK_AND_ASSIGN(auto client, client::Client::Connect("uds://" + (dir_ / "proxy").string()));
    LARDER_ASSERT_OK_AND_ASSIGN(auto reader, client->Get("big"));
    ASSERT_TRUE(reader->Bytes());
    EXPECT_EQ(ShaOf(*reader->Bytes()), ShaOf(base::AsBytes(content_)));
  }
  EXPECT_GT(proxy.fds(), 0u);
  EXPECT_LT(proxy.bytes(), 8u << 10);
  fmt::print("{} of payload: {} bytes and {} descriptors over the socket\n", base::FormatBytes(kSize), proxy.bytes(),
             proxy.fds());
}

TEST_F(ZeroCopy, APutThroughTheBufferCrossesItWithoutItsBytes) {
  CountingProxy proxy(dir_ / "proxy", agent_.socket_dir());
  {
    LARDER_ASSERT_OK_AND_ASSIGN(auto client, client::Client::Connect("uds://" + (dir_ / "proxy").string()));
    LARDER_ASSERT_OK_AND_ASSIGN(auto writer, client->Create({.key = "written"}));
    LARDER_ASSERT_OK_AND_ASSIGN(const base::MutableByteSpan buffer, writer->Buffer(kSize));
    std::memcpy(buffer.data(), content_.data(), kSize);
    LARDER_ASSERT_OK_AND_ASSIGN(const object::SealResult sealed,
                                writer->Seal(base::Crc32cDigest(base::Crc32c(base::AsBytes(content_)))));
    EXPECT_EQ(sealed.info.size, kSize);
  }
  EXPECT_LT(proxy.bytes(), 8u << 10);
}

TEST_F(ZeroCopy, TheClientMapsTheAgentsOwnSealedMemory) {
  LARDER_ASSERT_OK_AND_ASSIGN(auto client, client::Client::Connect(agent_.endpoint()));
  LARDER_ASSERT_OK_AND_ASSIGN(auto reader, client->Get("big"));
  ASSERT_TRUE(reader->Bytes());
  const std::vector<uint64_t> inodes = MappedInodes(*reader->Bytes());
  ASSERT_FALSE(inodes.empty());
  for (const uint64_t inode : inodes) {
    const base::UniqueFd memory = OpenAgentsMemory(agent_.pid(), inode);
    ASSERT_TRUE(memory) << "inode " << inode << " is not one of the agent's memfds";
    constexpr int kPromise = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;
    EXPECT_EQ(::fcntl(memory.get(), F_GET_SEALS) & kPromise, kPromise);
  }
}

}  // namespace
}  // namespace larder::cache_agent
