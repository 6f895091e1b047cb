#include "larder/peer_manager/app.h"
#include "larder/rpc/run_service.h"

int main(int argc, char** argv) { return larder::rpc::RunService<larder::peer_manager::App>(argc, argv); }
