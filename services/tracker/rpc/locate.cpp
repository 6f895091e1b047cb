#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "core/queries.h"
#include "larder/base/status.h"
#include "rpc/answers.h"
#include "rpc/record_proto.h"

namespace larder::tracker {
namespace {

constexpr int kMaxLocate = 1000;
// An object may have thousands of copies, so that few are looked up before it is seen how long an answer gets.
constexpr size_t kLookUp = 16;
constexpr size_t kMaxAnswerBytes = 4 << 20;

absl::StatusOr<std::vector<ObjectId>> IdsOf(const v1::LocateRequest& request) {
  const int count = request.objects_size();
  if (count == 0 || count > kMaxLocate) {
    return base::InvalidArgument("BAD_BATCH", "objects has {} elements; 1 to {} are possible", count, kMaxLocate);
  }
  std::vector<ObjectId> ids;
  ids.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    ids.push_back(FromProto(request.objects(i)));
    if (const absl::Status status = CheckName(ids.back()); !status.ok()) {
      return base::Annotate(status, fmt::format("objects[{}]", i));
    }
  }
  return ids;
}

}  // namespace

absl::Status Answer(Reader& snapshot, LogTime now, const v1::LocateRequest& request, v1::LocateResponse& response) {
  LARDER_ASSIGN_OR_RETURN(const std::vector<ObjectId> ids, IdsOf(request));
  size_t bytes = 0;
  for (std::span<const ObjectId> rest = ids; !rest.empty();) {
    const size_t count = std::min(rest.size(), kLookUp);
    LARDER_ASSIGN_OR_RETURN(const std::vector<ObjectStat> found, Locate(snapshot, rest.first(count)));
    for (const ObjectStat& stat : found) {
      v1::LocatedObject located = ToProto(stat, now);
      bytes += located.ByteSizeLong();
      if (bytes > kMaxAnswerBytes && response.objects_size() > 0) return absl::OkStatus();
      *response.add_objects() = std::move(located);
    }
    rest = rest.subspan(count);
  }
  return absl::OkStatus();
}

}  // namespace larder::tracker
