package main

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const provisionerName = "larder/local-path"

// provisioner KUBECONFIG BASEDIR: dynamic "local" PVs in BASEDIR/<node>/storage/<pv>,
// WaitForFirstConsumer. All nodes live on this machine, so it makes the directory itself.
func provisionerMain() {
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	base := os.Args[2]
	c := kubernetes.NewForConfigOrDie(cfg)
	ctx := context.Background()
	for ; ; time.Sleep(time.Second) {
		scs, err := c.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
		if err != nil {
			log.Print(err)
			continue
		}
		mine := map[string]v1.PersistentVolumeReclaimPolicy{}
		for _, sc := range scs.Items {
			if sc.Provisioner == provisionerName {
				mine[sc.Name] = *sc.ReclaimPolicy
			}
		}
		pvcs, err := c.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
		if err != nil {
			log.Print(err)
			continue
		}
		for _, p := range pvcs.Items {
			node := p.Annotations["volume.kubernetes.io/selected-node"]
			if p.Status.Phase != v1.ClaimPending || p.Spec.VolumeName != "" || p.Spec.StorageClassName == nil || node == "" {
				continue
			}
			policy, ok := mine[*p.Spec.StorageClassName]
			if !ok {
				continue
			}
			name := "pvc-" + string(p.UID)
			dir := filepath.Join(base, node, "storage", name)
			if err := os.MkdirAll(dir, 0o777); err != nil {
				log.Print(err)
				continue
			}
			os.Chmod(dir, 0o777)
			pv := &v1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": provisionerName, "dir": dir}},
				Spec: v1.PersistentVolumeSpec{
					Capacity:                      v1.ResourceList{v1.ResourceStorage: p.Spec.Resources.Requests[v1.ResourceStorage]},
					AccessModes:                   p.Spec.AccessModes,
					PersistentVolumeReclaimPolicy: policy,
					StorageClassName:              *p.Spec.StorageClassName,
					VolumeMode:                    p.Spec.VolumeMode,
					PersistentVolumeSource:        v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: dir}},
					ClaimRef: &v1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1",
						Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: p.ResourceVersion},
					NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
						MatchExpressions: []v1.NodeSelectorRequirement{{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{node}}}}}}},
				},
			}
			if _, err := c.CoreV1().PersistentVolumes().Create(ctx, pv, metav1.CreateOptions{}); err != nil {
				log.Print(err)
			} else {
				log.Printf("provisioned %s for %s/%s on %s", name, p.Namespace, p.Name, node)
			}
		}
		pvs, err := c.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		if err != nil {
			continue
		}
		for _, pv := range pvs.Items {
			if pv.Status.Phase == v1.VolumeReleased && pv.Annotations["pv.kubernetes.io/provisioned-by"] == provisionerName &&
				pv.Spec.PersistentVolumeReclaimPolicy == v1.PersistentVolumeReclaimDelete {
				os.RemoveAll(pv.Annotations["dir"])
				c.CoreV1().PersistentVolumes().Delete(ctx, pv.Name, metav1.DeleteOptions{})
				log.Print("deleted ", pv.Name)
			}
		}
	}
}
