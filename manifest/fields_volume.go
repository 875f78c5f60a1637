package manifest

import "slices"

const (
	noDriver = "podstead has no drivers for storage; mount it on the server and use hostPath"
	noClaims = "there are no persistent volume claims; use hostPath for data that stays"
	noObject = "there is no API server to read it from; put the files on the server and use hostPath"
)

func volumeFields() []Field {
	return slices.Concat(of("Volume",
		supported("name", "hostPath"),
		supportedNote("emptyDir", "what a volume without any source is, too"),
		refused("gcePersistentDisk", noDriver),
		refused("awsElasticBlockStore", noDriver),
		refused("gitRepo", "it is removed from Kubernetes as unsafe; clone in an init container"),
		refusedReference("secret", noObject),
		refused("nfs", noDriver),
		refused("iscsi", noDriver),
		refused("glusterfs", noDriver),
		refusedReference("persistentVolumeClaim", noClaims),
		refused("rbd", noDriver),
		refused("flexVolume", noDriver),
		refused("cinder", noDriver),
		refused("cephfs", noDriver),
		refused("flocker", noDriver),
		refused("downwardAPI", laterOn+"; use env with fieldRef"),
		refused("fc", noDriver),
		refused("azureFile", noDriver),
		refusedReference("configMap", noObject),
		refused("vsphereVolume", noDriver),
		refused("quobyte", noDriver),
		refused("azureDisk", noDriver),
		refused("photonPersistentDisk", noDriver),
		refused("projected", laterOn+"; use env with fieldRef, or hostPath"),
		refused("portworxVolume", noDriver),
		refused("scaleIO", noDriver),
		refused("storageos", noDriver),
		refused("csi", noDriver),
		refused("ephemeral", noClaims),
		refused("image", laterOn+"; copy the files in an init container"),
	), of("HostPathVolumeSource",
		supported("path", "type"),
	), of("EmptyDirVolumeSource",
		supported("medium", "sizeLimit"),
		refused("mode", laterOn+"; emptyDir is writable for everybody, or for fsGroup"),
	))
}
