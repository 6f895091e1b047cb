#pragma once
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/faults/raw_client.h"

namespace larder::cache_agent {

// What a client can be in the middle of.
enum class Doing {
  kConnecting,
  kIdle,
  kCreating,
  kInlineWrite,
  kWindowWrite,
  kRingWrite,
  kWritten,
  kSealing,
  kInlineRead,
  kReading,
  kStreamRead,
  kReleasing,
  kDeleting,
  kWaiting,
  kBatch,
};
inline constexpr std::array kAllDoings = {
    Doing::kConnecting, Doing::kIdle,      Doing::kCreating, Doing::kInlineWrite, Doing::kWindowWrite,
    Doing::kRingWrite,  Doing::kWritten,   Doing::kSealing,  Doing::kInlineRead,  Doing::kReading,
    Doing::kStreamRead, Doing::kReleasing, Doing::kDeleting, Doing::kWaiting,     Doing::kBatch};
// A word that is part of a test's name, a command and a key.
std::string_view DoingName(Doing doing);
// Throws std::invalid_argument.
Doing DoingOf(std::string_view name);
// It makes an object under the key that it was given.
bool Creates(Doing doing);

// What the namespace of a busy client holds: a large object and a small one, and a key that somebody else is creating.
inline constexpr char kKeptKey[] = "kept";
inline constexpr char kSmallKey[] = "small";
inline constexpr char kBusyKey[] = "busy";
inline constexpr uint64_t kKeptSize = 3 * 1024 * 1024 + 17;
inline constexpr uint64_t kSmallSize = 1000;

// Bytes that tell keys, and places within them, apart.
std::string Pattern(std::string_view key, uint64_t size);
// How large an object the client makes.
uint64_t SizeOf(Doing doing);

// A client that has begun something, half done. One thread.
class BusyClient {
 public:
  // Returns when it is in the middle: the first half is written, the object mapped, the record sent that waits.
  static absl::StatusOr<BusyClient> Begin(const std::filesystem::path& socket_dir, Doing doing, const std::string& key,
                                          const std::string& ns = "default");

  // Goes on to the end, as if nothing had happened. Blocks where another creator must end first.
  absl::Status Finish();
  // Overwrites all memory that it can write.
  void Scribble(std::byte value) const;
  // Of what it has mapped to read.
  uint32_t Crc() const;
  RawClient& raw() { return raw_; }
  const Creating& creating() const { return creating_; }
  const std::vector<Memory>& memory() const { return memory_; }

 private:
  BusyClient(RawClient raw, Doing doing, std::string key)
      : raw_(std::move(raw)), doing_(doing), key_(std::move(key)), content_(Pattern(key_, SizeOf(doing))) {}
  absl::Status BeginCreation();
  absl::Status BeginRead();
  absl::Status BeginDelete();
  absl::Status BeginBatch();
  absl::Status Write(uint64_t from, uint64_t to);
  absl::Status WriteInline(base::ByteSpan bytes) const;
  absl::Status FinishCreation();
  absl::Status FinishRead();

  RawClient raw_;
  Doing doing_;
  std::string key_;
  std::string content_;
  Creating creating_;
  Got got_;
  std::vector<Memory> memory_;
  std::vector<std::byte> streamed_;  // the first of a stream
};

}  // namespace larder::cache_agent
