# shellcheck shell=bash disable=SC2154
# The configuration of one node: network of pods, containerd, kubelet, kube-proxy. To be sourced by node, which sets
# `node`, `name` and `disk`.

write_node_files() {
  write_pod_network
  write_containerd
  write_kubelet
  write_proxy
}
write_pod_network() {
  cat >"$disk/etc-cni/10-bridge.conflist" <<Y
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(node_pods "$node")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
Y
}
write_containerd() {
  cat >"$disk/containerd.toml" <<Y
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$REGISTRY/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true   # works without CAP_SYS_RESOURCE, too
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$RUN/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
Y
}
write_kubelet() {
  echo "nameserver $GATEWAY" >"$disk/resolv.conf"
  cat >"$disk/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
address: 0.0.0.0
tlsCertFile: $PKI/$node.crt
tlsPrivateKeyFile: $PKI/$node.key
cgroupDriver: cgroupfs
cgroupRoot: /$name
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [$KUBE_SERVICES.0.10]
resolvConf: $disk/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
nodeStatusUpdateFrequency: 5s
syncFrequency: 10s   # a changed Secret or ConfigMap reaches its pods within 15 s
nodeLeaseDurationSeconds: 12
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
maxPods: 110
Y
}
write_proxy() {
  cat >"$disk/proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $PKI/proxy.kubeconfig}
mode: ${PROXY_MODE:-iptables}
clusterCIDR: $KUBE_PODS.0.0/16
hostnameOverride: $node
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
metricsBindAddress: 127.0.0.1:10249
Y
}
