#include "larder/transport/uds/uds.h"

#include "larder/base/status.h"
#include "src/channel.h"
#include "src/examine.h"
#include "src/listener.h"

namespace larder::transport::uds {
namespace {

// Beside ours; not ours to serve.
constexpr std::string_view kControlSocket = "control.sock";

}  // namespace

absl::StatusOr<std::unique_ptr<object::Channel>> Dial(const std::string& directory,
                                                      const object::DialOptions& options) {
  if (directory.empty() || directory.front() != '/') {
    return base::InvalidArgument(
        "BAD_URI", "uds:// is followed by the absolute directory of the sockets, as in uds:///run/larder");
  }
  return UdsChannel::Dial(directory, options);
}

absl::StatusOr<std::unique_ptr<object::Listener>> Listen(const object::ListenSettings& settings) {
  if (settings.address.empty() || settings.address.front() != '/') {
    return base::InvalidArgument("BAD_URI", "the sockets need an absolute directory, not '{}'", settings.address);
  }
  return std::make_unique<UdsListener>(settings);
}

void Register(object::TransportRegistry& registry) {
  registry.Add({.name = "uds",
                .help = "The node's Unix sockets, in a directory; shared memory beside them.",
                .dial = Dial,
                .listen = Listen,
                .control = [](const std::string& directory) { return directory + "/" + std::string(kControlSocket); },
                .examine = Examine});
}

}  // namespace larder::transport::uds
