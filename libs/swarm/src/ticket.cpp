#include "larder/swarm/ticket.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "larder/base/codec.h"
#include "larder/base/status.h"

namespace larder::swarm {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kMacSize = 32;
constexpr size_t kMaxNodeName = 253;  // a DNS name's

using Mac = std::array<uint8_t, kMacSize>;
using Milliseconds = std::chrono::milliseconds;

Mac MacOf(const TicketKey& key, base::ByteSpan bytes) {
  Mac mac{};
  unsigned size = 0;
  // Fails only without memory, or without OpenSSL's default provider.
  if (::HMAC(::EVP_sha256(), key.secret.data(), static_cast<int>(key.secret.size()),
             reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), mac.data(), &size) == nullptr) {
    std::abort();
  }
  return mac;
}

absl::Status Bad(std::string_view why) {
  return base::Error(absl::StatusCode::kUnauthenticated, "BAD_TICKET", "{}", why);
}

absl::Status CheckNames(const PieceTicket& ticket) {
  LARDER_RETURN_IF_ERROR(object::CheckNamespace(ticket.id.ns));
  LARDER_RETURN_IF_ERROR(object::CheckKey(ticket.id.key));
  if (ticket.child.empty() || ticket.child.size() > kMaxNodeName) {
    return base::InvalidArgument("BAD_TICKET", "a node's name has 1..{} bytes", kMaxNodeName);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TicketSigner::SetKeys(std::vector<TicketKey> keys) {
  std::vector<uint32_t> ids;
  for (const TicketKey& key : keys) ids.push_back(key.id);
  std::ranges::sort(ids);
  if (keys.empty() || std::ranges::adjacent_find(ids) != ids.end()) {
    return base::InvalidArgument("BAD_TICKET_KEYS", "{}", keys.empty() ? "no key" : "two keys with one id");
  }
  base::MutexLock lock(mutex_);
  keys_ = std::move(keys);
  return absl::OkStatus();
}

absl::StatusOr<std::string> TicketSigner::Sign(const PieceTicket& ticket) const {
  if (const absl::Status names = CheckNames(ticket); !names.ok()) {
    return base::InvalidArgument("BAD_TICKET", "{}", base::Message(names));
  }
  base::MutexLock lock(mutex_);
  if (keys_.empty()) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "NO_TICKET_KEYS", "no key to sign piece tickets with");
  }
  const TicketKey& key = keys_.front();
  base::ByteWriter out;
  out.U8(kVersion).U32(key.id).Str(ticket.id.ns).Str(ticket.id.key).U64(ticket.epoch.value).Str(ticket.child);
  out.U64(ticket.parent.value).I64(std::chrono::floor<Milliseconds>(ticket.expiry.time_since_epoch()).count());
  const Mac mac = MacOf(key, out.bytes());
  out.Raw(std::as_bytes(std::span(mac)));
  return std::string(base::AsText(out.bytes()));
}

absl::StatusOr<PieceTicket> TicketSigner::Verify(base::ByteSpan bytes, base::WallTime now) const {
  if (bytes.size() > kMaxTicketBytes || bytes.size() < kMacSize) return Bad("a ticket that is too long, or cut off");
  const base::ByteSpan body = bytes.first(bytes.size() - kMacSize);
  base::ByteReader in(body);
  if (in.U8() != kVersion) return Bad("a ticket of another version");
  const uint32_t id = in.U32();
  {
    base::MutexLock lock(mutex_);
    const auto key = std::ranges::find(keys_, id, &TicketKey::id);
    if (!in.ok() || key == keys_.end()) return Bad("a ticket by a key that this node does not know");
    const Mac mac = MacOf(*key, body);
    if (::CRYPTO_memcmp(mac.data(), bytes.data() + body.size(), kMacSize) != 0) return Bad("a ticket that is forged");
  }
  PieceTicket ticket;
  ticket.id.ns = in.Str();
  ticket.id.key = in.Str();
  ticket.epoch.value = in.U64();
  ticket.child = in.Str();
  ticket.parent.value = in.U64();
  const int64_t expiry = in.I64();
  if (!in.done() || !CheckNames(ticket).ok()) return Bad("a ticket that cannot be read");
  if (expiry <= std::chrono::floor<Milliseconds>(now.time_since_epoch()).count()) {
    return base::Error(absl::StatusCode::kUnauthenticated, "TICKET_EXPIRED", "the ticket of node '{}' for {}/{}",
                       ticket.child, ticket.id.ns, ticket.id.key);
  }
  // Beyond what the clock can say: never.
  constexpr int64_t kLast = std::chrono::floor<Milliseconds>(base::Duration::max()).count();
  ticket.expiry = base::WallTime(Milliseconds(std::min(expiry, kLast)));
  return ticket;
}

}  // namespace larder::swarm
