#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "larder/object/registries.h"
#include "src/connection.h"
#include "src/event_loop.h"

namespace larder::transport::uds {

class UdsListener final : public object::Listener {
 public:
  explicit UdsListener(const object::ListenSettings& settings);
  ~UdsListener() override;
  absl::Status Start() override;
  void Stop(base::Deadline deadline) override;

 private:
  // The loop's thread.
  void Accept();
  // Room for one more that has not said HELLO; false if `pid` has as many as it may.
  bool AdmitStranger(int32_t pid);
  void CheckConnections();

  ServerContext server_;
  const std::string path_;
  base::UniqueFd lock_;
  base::UniqueFd socket_;
  base::Duration queue_empty_ = BootNow();  // when nobody waited to be accepted
  bool paused_ = false;                     // descriptors were short: accepts again at the next tick
  std::map<Connection*, std::shared_ptr<Connection>> connections_;
  std::vector<std::weak_ptr<Connection>>
      strangers_;  // before their HELLO, the oldest first; others, too, until it is looked at
  base::Gate offloaded_;
  EventLoop loop_;
};

}  // namespace larder::transport::uds
