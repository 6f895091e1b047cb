#pragma once
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "csi/mounter.h"
#include "csi/record.h"
#include "csi/volume_store.h"
#include "csi/volumes.h"
#include "larder/base/status.h"

namespace larder::cache_agent::csi {

// A node in memory: what outlives an agent (records, directories, mounts), and what does not (open sockets). The step
// whose number comes fails, or is the last that happens at all. One thread.
class ScriptedNode : public VolumeStore, public Doors, public Mounter {
 public:
  // Step `n` from now (the first is 0) fails with `error`; steps behind it do, too, if the agent was `killed` there.
  void FailAt(int n, int error, bool killed) {
    fail_at_ = steps_ + n;
    error_ = error;
    killed_ = killed;
  }
  void Heal() { fail_at_ = -1; }
  int steps() const { return steps_; }
  // The agent is gone, and with it its sockets.
  void Restart() {
    open.clear();
    Heal();
  }

  std::map<std::string, std::string> records;  // text by id
  std::set<std::string> directories;
  std::map<std::string, std::string> open;                 // the volume's id, by the directory's path
  std::map<std::string, std::vector<std::string>> mounts;  // directories, the upper last, by pod and volume
  std::set<std::string> targets;
  int read_error = 0;   // errno of reading any record
  int look_error = 0;   // errno of looking at any mount
  bool others = false;  // what is mounted is not ours
  bool admits = true;
  std::function<void()> while_mounting = {};  // called once

  // VolumeStore
  absl::StatusOr<std::vector<std::string>> ListRecords() override {
    std::vector<std::string> ids;
    for (const auto& [id, text] : records) ids.push_back(id);
    return ids;
  }
  absl::StatusOr<std::string> ReadRecord(const std::string& id) override {
    if (read_error != 0) return base::ErrnoError(read_error, "read the record");
    return records.at(id);
  }
  absl::Status WriteRecord(const std::string& id, std::string_view text) override {
    return Step([&] { records[id] = text; });
  }
  absl::Status RemoveRecord(const std::string& id) override {
    return Step([&] { records.erase(id); });
  }
  absl::StatusOr<std::vector<std::string>> ListDirectories() override {
    return std::vector<std::string>(directories.begin(), directories.end());
  }
  absl::Status MakeDirectory(const std::string& name) override {
    return Step([&] { directories.insert(name); });
  }
  absl::Status RemoveDirectory(const std::string& name) override {
    return Step([&] { directories.erase(name); });
  }
  absl::StatusOr<bool> IsMounted(const std::string& name) override {
    return std::ranges::any_of(mounts, [&](const auto& mount) { return mount.second.back() == name; });
  }
  std::string PathOf(const std::string& name) const override { return "/pods/" + name; }

  // Doors
  absl::Status Admit(const Volume&) const override {
    return admits ? absl::OkStatus() : base::Error(absl::StatusCode::kPermissionDenied, "NO_GRANT", "nothing");
  }
  absl::Status Open(const Volume& volume, const std::string& directory) override {
    return Step([&] { open[directory] = volume.id; });
  }
  void Close(const std::string& directory) override { open.erase(directory); }

  // Mounter
  absl::Status Mount(const Place& place) override {
    if (const auto meanwhile = std::exchange(while_mounting, nullptr)) meanwhile();
    return Step([&] {
      targets.insert(KeyOf(place));
      mounts[KeyOf(place)] = {DirectoryOf(VolumeIdOf(place))};
    });
  }
  absl::Status Unmount(const Place& place) override {
    return Step([&] {
      mounts.erase(KeyOf(place));
      targets.erase(KeyOf(place));
    });
  }
  absl::StatusOr<MountState> Look(const Place& place) override {
    if (look_error != 0) return base::ErrnoError(look_error, "look at the mount");
    if (!mounts.contains(KeyOf(place))) return MountState::kNone;
    return others ? MountState::kOther : MountState::kOurs;
  }
  absl::Status Register() override { return absl::OkStatus(); }
  absl::Status Unregister() override { return absl::OkStatus(); }
  void OnEnd(std::function<void()>) override {}

  static std::string KeyOf(const Place& place) { return place.pod_uid + "/" + place.name; }

  // What must be true after whatever was cut short: who is mounted and served has a record, and nothing is there twice.
  void CheckInvariant() const {
    for (const auto& [key, stack] : mounts) {
      EXPECT_EQ(stack.size(), 1u) << key;
      EXPECT_TRUE(std::ranges::any_of(
          records, [&, &stack = stack](const auto& record) { return DirectoryOf(record.first) == stack.back(); }))
          << key << " is mounted without a record";
    }
    for (const auto& [directory, id] : open) EXPECT_TRUE(records.contains(id)) << id << " is served without a record";
  }
  bool IsEmpty() const {
    return records.empty() && directories.empty() && open.empty() && mounts.empty() && targets.empty();
  }
  bool IsServed(const Volume& volume) const {
    const auto served = open.find("/pods/" + DirectoryOf(volume.id));
    return mounts.contains(KeyOf(volume.place)) && served != open.end() && served->second == volume.id &&
           records.contains(volume.id);
  }

 private:
  absl::Status Step(const std::function<void()>& act) {
    const int step = steps_++;
    if (fail_at_ >= 0 && (step == fail_at_ || (killed_ && step > fail_at_))) return base::ErrnoError(error_, "a step");
    act();
    return absl::OkStatus();
  }

  int steps_ = 0;
  int fail_at_ = -1;
  int error_ = 0;
  bool killed_ = false;
};

}  // namespace larder::cache_agent::csi
