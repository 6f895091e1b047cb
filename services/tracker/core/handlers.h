#pragma once
#include "core/change.h"
#include "core/command.h"
#include "core/reply.h"

// What each command does. It refuses before it changes anything that a refusal should leave.
namespace larder::tracker {

// core/nodes.cpp
Reply Do(Change& change, const RegisterNode& command);
Reply Do(Change& change, const RegisterWithKey& command);
Reply Do(Change& change, const FenceNode& command);
Reply Do(Change& change, const MarkNode& command);
Reply Do(Change& change, const RenewCreates& command);
// core/creation.cpp
Reply Do(Change& change, const AcquireCreate& command);
Reply Do(Change& change, const Seal& command);
Reply Do(Change& change, const Abandon& command);
Reply Do(Change& change, const Publish& command);
// core/copies.cpp
Reply Do(Change& change, const AddLocation& command);
Reply Do(Change& change, const GiveUp& command);
Reply Do(Change& change, const ReportBad& command);
// core/inventory.cpp
Reply Do(Change& change, const ConfirmBuckets& command);
Reply Do(Change& change, const SyncBucket& command);
// core/names.cpp
Reply Do(Change& change, const Delete& command);
Reply Do(Change& change, const SetMeta& command);
Reply Do(Change& change, const Rename& command);
Reply Do(Change& change, const MakeDir& command);
Reply Do(Change& change, const RemoveDir& command);
// core/uploads.cpp
Reply Do(Change& change, const BeginUpload& command);
Reply Do(Change& change, const CommitOrigin& command);
Reply Do(Change& change, const ForgetTicket& command);
// core/leases.cpp
Reply Do(Change& change, const GrantLease& command);
Reply Do(Change& change, const RenewLease& command);
Reply Do(Change& change, const ReleaseLease& command);
Reply Do(Change& change, const PutPlan& command);
// core/expiry.cpp
Reply Do(Change& change, const ExpireDue& command);
// core/sessions.cpp
Reply Do(Change& change, const OpenSession& command);
Reply Do(Change& change, const CloseSession& command);
// core/resp_data.cpp
Reply Do(Change& change, const RespSet& command);
Reply Do(Change& change, const RespDelete& command);

// core/creation.cpp: the node's creates live at least as long as the lease.
void ExtendCreates(Change& change, const std::string& node, NodeRecord& record, base::Duration lease);
// core/leases.cpp: why the token is not the lease's current one, if it is not.
std::optional<Refusal> RefuseToken(Change& change, std::string_view lease, LeaseToken token);
void EndLease(Change& change, const std::string& name, const LeaseRecord& record);
// core/sessions.cpp: with all answers kept for it.
void EndSession(Change& change, ClientSession session, const SessionRecord& record);

}  // namespace larder::tracker
