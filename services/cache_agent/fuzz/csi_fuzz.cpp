// What comes to the CSI driver from outside itself: a pod's volume context and its target path, a record that lay on
// the node, what the agent says to its mounter. Whatever is taken leads to one place below the kubelet's directory.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "csi/mounter_wire.h"
#include "csi/record.h"
#include "csi/volume.h"

namespace {

namespace csi = larder::cache_agent::csi;

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckPlace(const csi::Place& place) {
  for (const std::string& part : {place.pod_uid, place.name}) {
    Check(!part.empty() && part.find('/') == std::string::npos && part.find("..") == std::string::npos &&
          part.find('\0') == std::string::npos);
  }
  const auto again = csi::PlaceOf(csi::TargetPath("/k", place), "/k");
  Check(again.ok() && *again == place);
}

// Lines: the target path, then key=value. The volume's id is right if the place is.
csi::PublishRequest RequestOf(std::string_view text) {
  csi::PublishRequest request{.is_mount = true};
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (const size_t equals = line.find('='); equals != std::string_view::npos) {
      request.context[std::string(line.substr(0, equals))] = line.substr(equals + 1);
    } else {
      request.target_path = line;
    }
  }
  if (const auto place = csi::PlaceOf(request.target_path, "/k"); place.ok()) {
    CheckPlace(*place);
    request.volume_id = csi::VolumeIdOf(*place);
  }
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto volume = csi::VolumeOf(RequestOf(text), "/k"); volume.ok()) {
    const auto again = csi::DecodeRecord(csi::EncodeRecord(*volume));
    Check(again.ok() && *again == *volume);
  }
  if (const auto volume = csi::DecodeRecord(text); volume.ok()) CheckPlace(volume->place);
  const larder::base::ByteSpan bytes = larder::base::AsBytes(text);
  if (const auto request = csi::DecodeRequest(bytes); request.ok() && request->place != csi::Place{}) {
    CheckPlace(request->place);
  }
  if (const auto reply = csi::DecodeReply(bytes); reply.ok()) Check(reply->error >= 0);
  return 0;
}
