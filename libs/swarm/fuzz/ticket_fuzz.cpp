#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>
#include <string>

#include "larder/swarm/ticket.h"

using namespace larder;

namespace {

const swarm::TicketKey kKey{.id = 1, .secret = {1, 2, 3}};

const swarm::TicketSigner& Signer() {
  static const swarm::TicketSigner* signer = [] {
    auto* made = new swarm::TicketSigner;
    if (!made->SetKeys({kKey}).ok()) std::abort();
    return made;
  }();
  return *signer;
}

// As if somebody who has the key had signed it: else hardly an input would get past the MAC.
std::string Signed(std::string bytes) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ::HMAC(::EVP_sha256(), kKey.secret.data(), static_cast<int>(kKey.secret.size()),
         reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), mac, &size);
  return bytes.append(reinterpret_cast<const char*>(mac), size);
}

}  // namespace

// Nothing unsigned passes; what is signed and passes is signed again to the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (Signer().Verify(base::AsBytes(bytes), base::WallTime()).ok()) std::abort();
  const std::string ticket = Signed(bytes);
  const auto verified = Signer().Verify(base::AsBytes(ticket), base::WallTime());
  if (!verified.ok()) return 0;
  // An expiry that the clock cannot say comes back as the last one that it can.
  if (verified->expiry >= base::WallTime::max() - std::chrono::milliseconds(1)) return 0;
  if (Signer().Sign(*verified).value() != ticket) std::abort();
  return 0;
}
