// An agent whose user has too many descriptors under way, as another process of that user may see to: its own are
// refused by the kernel. It runs without the capabilities that lift that limit.
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "tests/agent_side.h"

namespace larder::transport::uds {
namespace {

constexpr rlim_t kFewFiles = 256;

class DescriptorsShort : public AgentSide {
 protected:
  using Capabilities = std::array<__user_cap_data_struct, 2>;

  void SetUp() override {
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files_), 0);
    const rlimit few = {.rlim_cur = kFewFiles, .rlim_max = files_.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    // This thread's, and so those of the threads that the listener starts.
    ASSERT_EQ(::syscall(SYS_capget, &version_, capabilities_.data()), 0);
    Capabilities without = capabilities_;
    without[0].effective &= ~(1u << CAP_SYS_RESOURCE | 1u << CAP_SYS_ADMIN);
    ASSERT_EQ(::syscall(SYS_capset, &version_, without.data()), 0);
    AgentSide::SetUp();
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair_.data()), 0);
  }
  void TearDown() override {
    LandAll();
    AgentSide::TearDown();
    EXPECT_EQ(::syscall(SYS_capset, &version_, capabilities_.data()), 0);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &files_), 0);
  }
  // Sends descriptors that nobody receives until the kernel takes no more.
  absl::Status FillUp() {
    const std::array<base::ByteSpan, 1> parts{base::AsBytes("x")};
    const std::vector<int> many(64, pair_[0]);
    absl::Status sent;
    for (rlim_t i = 0; sent.ok() && i <= kFewFiles; i += many.size()) sent = SendRecord(pair_[0], parts, many, false);
    return sent.ok() ? SendRecord(pair_[0], parts, many, false) : sent;
  }
  void LandAll() {
    for (int& fd : pair_) {
      if (fd >= 0) ::close(std::exchange(fd, -1));
    }
  }

  rlimit files_ = {};
  __user_cap_header_struct version_ = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  Capabilities capabilities_ = {};
  std::array<int, 2> pair_ = {-1, -1};
};

TEST_F(DescriptorsShort, WhoComesMeanwhileIsServedAfterwards) {
  const base::UniqueFd client(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  listener_->RecheckDoors();  // a sanitizer that sees the type for the first time needs descriptors to look at it
  base::UniqueFd next_fd(::dup(client.get()));
  const rlimit none = {.rlim_cur = static_cast<rlim_t>(next_fd.get()), .rlim_max = files_.rlim_max};
  next_fd.Reset();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  (dir_.path() / kSocketName).string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int connected = ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  // Each is a turn of the listener's loop, in which it tries to accept or has given that up for a while.
  for (int i = 0; i < 5; ++i) listener_->RecheckDoors();
  EXPECT_EQ(connections_, 0);
  const rlimit few = {.rlim_cur = kFewFiles, .rlim_max = files_.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  ASSERT_EQ(connected, 0);
  EXPECT_THAT(Ask(client.get(), Op::kHello, HelloOf("")).status(), IsOk());
}

TEST_F(DescriptorsShort, ObjectsAreCopiedAndTheConnectionStays) {
  auto channel = *Dial(dir_.path().string(), {});
  const std::vector<std::byte> bytes(3 * base::kMiB, std::byte{7});
  ASSERT_THAT(channel->Put({.key = "k"}, bytes, base::kNoDeadline), IsOk());
  ASSERT_THAT(FillUp(), StatusIs(absl::StatusCode::kInternal, "ETOOMANYREFS"));
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const auto reader, channel->Get("k", base::kNoDeadline));
    EXPECT_FALSE(reader->Bytes().has_value());
    std::vector<std::byte> read(bytes.size());
    ASSERT_THAT(reader->Read(0, read), IsOk());
    EXPECT_TRUE(std::ranges::equal(read, bytes));
  }
  const std::vector<std::string> keys = {"k", "k"};
  for (const auto& reader : channel->GetMany(keys, base::kNoDeadline)) {
    ASSERT_THAT(reader.status(), IsOk());
    EXPECT_FALSE((*reader)->Bytes().has_value());
  }
  EXPECT_FALSE(channel->broken());
  LandAll();
  LARDER_ASSERT_OK_AND_ASSIGN(const auto mapped, channel->Get("k", base::kNoDeadline));
  EXPECT_TRUE(mapped->Bytes().has_value());
}

}  // namespace
}  // namespace larder::transport::uds
