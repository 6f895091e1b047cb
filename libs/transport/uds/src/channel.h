#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "larder/object/transport.h"
#include "src/keeper.h"

namespace larder::transport::uds {

// A session, and the keeper that outlives it: what readers and writers hold of their channel.
struct Line {
  std::shared_ptr<Keeper> keeper;
  std::shared_ptr<Session> session;
};

// No call of the writer goes on past `until`.
absl::StatusOr<std::unique_ptr<object::ObjectWriter>> OpenWriter(const Line& line, const object::CreateRequest& request,
                                                                 base::Deadline deadline,
                                                                 base::Deadline until = base::kNoDeadline);
absl::StatusOr<std::unique_ptr<object::ObjectReader>> OpenReader(const Line& line, const std::string& key,
                                                                 base::Deadline deadline);
// Channel::GetRange.
absl::StatusOr<std::unique_ptr<object::ObjectReader>> OpenRangeReader(const Line& line, const std::string& key,
                                                                      const object::ByteRange& range,
                                                                      base::Deadline deadline);
// Channel::GetMany, in BATCHes.
std::vector<absl::StatusOr<std::unique_ptr<object::ObjectReader>>> OpenReaders(const Line& line,
                                                                               std::span<const std::string> keys,
                                                                               base::Deadline deadline);

class UdsChannel final : public object::Channel {
 public:
  explicit UdsChannel(Line line) : line_(std::move(line)) {}
  // With a keeper of its own.
  static absl::StatusOr<std::unique_ptr<object::Channel>> Dial(const std::string& directory,
                                                               const object::DialOptions& options);

  absl::StatusOr<std::unique_ptr<object::ObjectWriter>> Create(const object::CreateRequest& request,
                                                               base::Deadline deadline) override;
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> Get(const std::string& key, base::Deadline deadline) override;
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> GetRange(const std::string& key, const object::ByteRange& range,
                                                                 base::Deadline deadline) override;
  absl::StatusOr<object::SealResult> Put(const object::CreateRequest& request, base::ByteSpan bytes,
                                         base::Deadline deadline) override;
  std::vector<absl::StatusOr<std::unique_ptr<object::ObjectReader>>> GetMany(std::span<const std::string> keys,
                                                                             base::Deadline deadline) override;
  std::vector<absl::StatusOr<object::SealResult>> PutMany(std::span<const object::PutRequest> requests,
                                                          base::Deadline deadline) override;
  absl::StatusOr<object::ObjectInfo> Stat(const std::string& key, base::Deadline deadline) override;
  absl::StatusOr<object::ListPage> List(const object::ListRequest& request, base::Deadline deadline) override;
  absl::Status Delete(const std::string& key, base::Deadline deadline) override;
  absl::Status SetPinned(const std::string& key, bool pinned, base::Deadline deadline) override;
  const std::string& ns() const override { return line_.session->welcome.ns; }
  const std::string& node() const override { return line_.session->welcome.node; }
  std::string token() const override;
  bool broken() const override { return line_.session->link.AtEnd(); }
  absl::StatusOr<std::unique_ptr<object::Channel>> Redial(base::Deadline deadline) override;

 private:
  absl::StatusOr<object::SealResult> TakeResult(base::ByteSpan payload) const;
  Link& link() { return line_.session->link; }

  const Line line_;
};

}  // namespace larder::transport::uds
