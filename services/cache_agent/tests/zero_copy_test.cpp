// Proof that a get hands over memory, not bytes: what crosses the socket is counted, what is mapped is looked up.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <random>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/client/client.h"
#include "tests/agent_process.h"
#include "tests/record_proxy.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;
using base::IsOk;
using base::kMiB;

constexpr uint64_t kSize = 32 * kMiB;

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
  RecordProxy proxy(dir_ / "proxy", agent_.socket_dir());
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
  RecordProxy proxy(dir_ / "proxy", agent_.socket_dir());
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
