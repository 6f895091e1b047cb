#include "larder/cache_agent/app.h"
#include "larder/rpc/run_service.h"

int main(int argc, char** argv) { return larder::rpc::RunService<larder::cache_agent::App>(argc, argv); }
