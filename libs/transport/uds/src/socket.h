#pragma once
#include <absl/status/statusor.h>

#include <span>
#include <string>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/clock.h"
#include "larder/base/unique_fd.h"

// SEQPACKET sockets and the descriptors that ride on their records.
namespace larder::transport::uds {

absl::StatusOr<base::UniqueFd> ConnectTo(const std::string& path);
// Binds beside `path` and renames over it, so that a stale socket is replaced and a half-made one is never seen.
absl::StatusOr<base::UniqueFd> ListenAt(const std::string& path, unsigned mode);

// One record from its parts, with descriptors (not consumed). UNAVAILABLE (WOULD_BLOCK) when a non-blocking socket's
// buffer is full, UNAVAILABLE (CONNECTION_LOST) when the other end is gone.
absl::Status SendRecord(int fd, std::span<const base::ByteSpan> parts, std::span<const int> fds, bool wait);

struct Received {
  size_t size = 0;  // bytes of the record that lie in the buffer
  bool truncated = false;
  bool fds_truncated = false;
  std::vector<base::UniqueFd> fds;
};
// One record into `buffer`. UNAVAILABLE (WOULD_BLOCK) if there is none and `wait` is false; UNAVAILABLE
// (CONNECTION_LOST) at the end.
absl::StatusOr<Received> ReceiveRecord(int fd, base::MutableByteSpan buffer, bool wait);

}  // namespace larder::transport::uds
