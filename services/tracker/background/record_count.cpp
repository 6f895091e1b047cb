#include "background/record_count.h"

#include "core/layout.h"
#include "larder/base/status.h"

namespace larder::tracker {

absl::StatusOr<bool> RecordCount::Round() {
  if (snapshot_ == nullptr) return true;
  RecordChanges found;
  size_t seen = 0;
  bool more = false;
  snapshot_->Scan(layout::ObjectsPrefix(), from_, [&](std::string_view key, std::string_view) {
    if (seen++ == rows_) {
      from_ = key;
      more = true;
      return false;
    }
    if (key.ends_with('/')) return true;  // a directory
    const std::string_view ns = layout::NamespaceOfObject(key);
    const auto count = found.find(ns);
    count == found.end() ? ++found[std::string(ns)] : ++count->second;
    return true;
  });
  LARDER_RETURN_IF_ERROR(snapshot_->status());
  counts_.Add(found);
  if (more) return false;
  snapshot_.reset();
  counts_.Complete();
  return true;
}

}  // namespace larder::tracker
