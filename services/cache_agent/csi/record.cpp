#include "csi/record.h"

#include <array>
#include <utility>

#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::cache_agent::csi {
namespace {

constexpr std::string_view kAnyVersion = "larder-csi-volume ";
constexpr std::string_view kFirstLine = "larder-csi-volume 1\n";
constexpr std::string_view kReadOnly = "read";
constexpr std::string_view kAll = "all";

std::string Checksum(std::string_view lines) {
  return fmt::format("crc32c {:08x}\n", base::Crc32c(base::AsBytes(lines)));
}

absl::Status Bad(std::string_view what) {
  return base::Error(absl::StatusCode::kDataLoss, "BAD_RECORD", "not the record of a volume: {}", what);
}

// Whether its last line is the checksum of all before, as in records of any version.
bool IsWhole(std::string_view text) {
  const size_t last = text.substr(0, text.size() - (text.empty() ? 0 : 1)).rfind('\n');
  return last != std::string_view::npos && text.substr(last + 1) == Checksum(text.substr(0, last + 1));
}

// The value of the line that `text` begins with, which it is taken from.
absl::StatusOr<std::string> TakeLine(std::string_view& text, std::string_view key) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos || !text.starts_with(key) || end <= key.size() || text[key.size()] != ' ') {
    return Bad(fmt::format("no line '{}'", key));
  }
  std::string value(text.substr(key.size() + 1, end - key.size() - 1));
  text.remove_prefix(end + 1);
  return value;
}

}  // namespace

std::string EncodeRecord(const Volume& volume) {
  const std::string lines =
      fmt::format("{}id {}\nuid {}\nvolume {}\nnamespace {}\npod {}\nservice_account {}\naccess {}\n", kFirstLine,
                  volume.id, volume.place.pod_uid, volume.place.name, volume.ns, volume.pod, volume.service_account,
                  volume.read_only ? kReadOnly : kAll);
  return lines + Checksum(lines);
}

absl::StatusOr<Volume> DecodeRecord(std::string_view text) {
  if (!IsWhole(text)) return Bad("the checksum does not match");
  if (!text.starts_with(kFirstLine)) {
    if (!text.starts_with(kAnyVersion)) return Bad("another first line");
    return base::Error(absl::StatusCode::kUnimplemented, "BAD_RECORD", "the record is of another version of the agent");
  }
  std::string_view rest = text.substr(kFirstLine.size());
  Volume volume;
  LARDER_ASSIGN_OR_RETURN(volume.id, TakeLine(rest, "id"));
  LARDER_ASSIGN_OR_RETURN(volume.place.pod_uid, TakeLine(rest, "uid"));
  LARDER_ASSIGN_OR_RETURN(volume.place.name, TakeLine(rest, "volume"));
  LARDER_ASSIGN_OR_RETURN(volume.ns, TakeLine(rest, "namespace"));
  LARDER_ASSIGN_OR_RETURN(volume.pod, TakeLine(rest, "pod"));
  LARDER_ASSIGN_OR_RETURN(volume.service_account, TakeLine(rest, "service_account"));
  LARDER_ASSIGN_OR_RETURN(const std::string access, TakeLine(rest, "access"));
  if (access != kReadOnly && access != kAll) return Bad("another access");
  volume.read_only = access == kReadOnly;
  if (rest != Checksum(text.substr(0, text.size() - rest.size()))) return Bad("another line");
  if (!IsPlace(volume.place) || volume.id != VolumeIdOf(volume.place)) return Bad("its id is another volume's");
  return volume;
}

}  // namespace larder::cache_agent::csi
