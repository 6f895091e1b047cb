#include "larder/object/transport.h"

#include "larder/base/status.h"

namespace larder::object {

std::vector<absl::StatusOr<std::unique_ptr<ObjectReader>>> Channel::GetMany(std::span<const std::string> keys,
                                                                            base::Deadline deadline) {
  std::vector<absl::StatusOr<std::unique_ptr<ObjectReader>>> readers;
  readers.reserve(keys.size());
  for (const std::string& key : keys) readers.push_back(Get(key, deadline));
  return readers;
}

std::vector<absl::StatusOr<SealResult>> Channel::PutMany(std::span<const PutRequest> requests,
                                                         base::Deadline deadline) {
  std::vector<absl::StatusOr<SealResult>> results;
  results.reserve(requests.size());
  for (const PutRequest& put : requests) results.push_back(Put(put.request, put.bytes, deadline));
  return results;
}

absl::StatusOr<std::unique_ptr<Channel>> Channel::Redial(base::Deadline) {
  return base::Error(absl::StatusCode::kUnimplemented, "NO_REDIAL", "dial anew");
}

absl::Status Listener::OpenDoor(Door door) {
  return base::Error(absl::StatusCode::kUnimplemented, "NO_DOORS", "{}: the transport has one way in only",
                     door.address);
}
void Listener::CloseDoor(const std::string&) {}
void Listener::RecheckDoors() {}

}  // namespace larder::object
