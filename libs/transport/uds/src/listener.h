#pragma once
#include <atomic>
#include <functional>
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
  absl::Status OpenDoor(object::Door door) override;
  void CloseDoor(const std::string& address) override;
  void RecheckDoors() override;
  void Stop(base::Deadline deadline) override;

 private:
  using EntrancePtr = std::shared_ptr<Entrance>;
  // Its socket, bound.
  static absl::StatusOr<EntrancePtr> Bind(object::Door door);
  // Runs `task` on the loop's thread and waits for it.
  void OnLoop(const std::function<void()>& task);

  // The loop's thread.
  absl::Status Open(const EntrancePtr& entrance);
  void Close(Entrance& entrance);
  void Accept(const EntrancePtr& entrance);
  // Room for one more that has not said HELLO; false if whom it counts for has as many as it may.
  bool AdmitStranger(int32_t stranger);
  // Whether there is anything to check soon.
  bool CheckConnections();

  ServerContext server_;
  base::UniqueFd lock_;
  EntrancePtr first_;
  bool started_ = false;
  // The loop's thread, as all that follows.
  std::map<std::string, EntrancePtr> doors_;  // by address
  int32_t last_door_ = 0;
  bool paused_ = false;  // descriptors were short: accepts again at the next tick
  std::map<Connection*, std::shared_ptr<Connection>> connections_;
  std::vector<std::weak_ptr<Connection>>
      strangers_;  // before their HELLO, the oldest first; others, too, until it is looked at
  base::Gate offloaded_;
  EventLoop loop_;
};

}  // namespace larder::transport::uds
