// Command argocd runs Argo CD's repository server and its application controller against one cluster, in one process, until its
// standard input ends. It is Argo CD's own code with the settings that its commands have by default; not by those commands, since
// the controller's would serve its metrics to the whole network.
package main

import (
	"context"
	"flag"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/alicebob/miniredis/v2"
	commits "github.com/argoproj/argo-cd/v3/commitserver/apiclient"
	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/controller"
	"github.com/argoproj/argo-cd/v3/controller/sharding"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	applications "github.com/argoproj/argo-cd/v3/pkg/client/clientset/versioned"
	"github.com/argoproj/argo-cd/v3/reposerver"
	repositories "github.com/argoproj/argo-cd/v3/reposerver/apiclient"
	repositorycache "github.com/argoproj/argo-cd/v3/reposerver/cache"
	"github.com/argoproj/argo-cd/v3/reposerver/metrics"
	"github.com/argoproj/argo-cd/v3/reposerver/repository"
	"github.com/argoproj/argo-cd/v3/util/argo"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/argo-cd/v3/util/cache"
	"github.com/argoproj/argo-cd/v3/util/cache/appstate"
	"github.com/argoproj/argo-cd/v3/util/git"
	"github.com/argoproj/argo-cd/v3/util/kube"
	"github.com/argoproj/argo-cd/v3/util/settings"
	"github.com/argoproj/argo-cd/v3/util/tls"
	"github.com/redis/go-redis/v9"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const namespace = "argocd"

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the cluster, which is also the cluster that Argo CD calls its own")
	folder := flag.String("dir", "", "where working copies of repositories go")
	flag.Parse()

	// Whoever started this holds the other end.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if err := run(*kubeconfig, *folder); err != nil {
		log.Fatal(err)
	}
}

func run(kubeconfig, folder string) error {
	programs, err := noSignatures(folder)
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		// https://kubernetes.default.svc is the cluster of the kubeconfig.
		v1alpha1.EnvVarFakeInClusterConfig: "true",
		"KUBECONFIG":                       kubeconfig,
		"TMPDIR":                           folder,
		"ARGOCD_GPG_ENABLED":               "false",
		"PATH":                             programs + string(os.PathListSeparator) + os.Getenv("PATH"),
		// A person's settings must not change what git does.
		"GIT_CONFIG_GLOBAL":   os.DevNull,
		"GIT_CONFIG_NOSYSTEM": "1",
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	store := miniredis.NewMiniRedis()
	if err := store.StartAddr("127.0.0.1:0"); err != nil {
		return err
	}
	shared := func() *cache.Cache {
		client := redis.NewClient(&redis.Options{Addr: store.Addr(), MaxRetries: 3})
		return cache.NewCache(cache.NewRedisCache(client, 24*time.Hour, cache.RedisCompressionGZip))
	}
	address, err := serveRepositories(shared())
	if err != nil {
		return err
	}
	return control(kubeconfig, address, shared())
}

// noSignatures returns a folder with the program that is asked who signed a commit, whatever the settings say: nobody.
func noSignatures(folder string) (string, error) {
	programs := filepath.Join(folder, "bin")
	if err := os.MkdirAll(programs, 0o755); err != nil {
		return "", err
	}
	return programs, os.WriteFile(filepath.Join(programs, "git-verify-wrapper.sh"), []byte("#!/bin/sh\n"), 0o755)
}

// serveRepositories makes manifests from what is in Git, and returns where it is asked for them.
func serveRepositories(shared *cache.Cache) (string, error) {
	gigabyte := resource.MustParse("1G")
	limits := repository.RepoServerInitConstants{
		PauseGenerationAfterFailedGenerationAttempts: 3,
		PauseGenerationOnFailureForMinutes:           60,
		SubmoduleEnabled:                             true,
		MaxCombinedDirectoryManifestsSize:            resource.MustParse("10M"),
		StreamedManifestMaxExtractedSize:             gigabyte.Value(),
		StreamedManifestMaxTarSize:                   gigabyte.Value() / 10,
		HelmManifestMaxExtractedSize:                 gigabyte.Value(),
		HelmRegistryMaxIndexSize:                     gigabyte.Value(),
		OCIManifestMaxExtractedSize:                  gigabyte.Value(),
		EnableBuiltinGitConfig:                       true,
	}
	cached := repositorycache.NewCache(shared, 24*time.Hour, 3*time.Minute, 10*time.Second)
	server, err := reposerver.NewServer(metrics.NewMetricsServer(), cached, nil, limits, git.NoopCredsStore{}, "", true)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() { log.Fatal(server.CreateGRPC().Serve(listener)) }()
	return listener.Addr().String(), nil
}

// control compares and syncs Applications, for ever.
func control(kubeconfig, repositoryServer string, shared *cache.Cache) error {
	ctx := context.Background()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	if err := v1alpha1.SetK8SConfigDefaults(config); err != nil {
		return err
	}
	config.UserAgent = common.DefaultApplicationControllerName
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	applicationClient, err := applications.NewForConfig(config)
	if err != nil {
		return err
	}
	manager := settings.NewSettingsManager(ctx, client, namespace)
	shards, err := sharding.GetClusterSharding(client, manager, common.DefaultShardingAlgorithm, false)
	if err != nil {
		return err
	}
	shared.SetClient(cache.NewTwoLevelClient(shared.GetClient(), 10*time.Minute))

	const resync, jitter = 2 * time.Minute, time.Minute
	application, err := controller.NewApplicationController(
		namespace, manager, client, applicationClient,
		repositories.NewRepoServerClientset(repositoryServer, 60, tls.Configuration{DisableTLS: true}),
		commits.NewCommitServerClientset(common.DefaultCommitServerAddr),
		appstate.NewCache(shared, time.Hour),
		kube.NewKubectl(),
		resync, 0, jitter,
		0, &wait.Backoff{Duration: 2 * time.Second, Factor: 3, Cap: 5 * time.Minute}, // between attempts of self-heal
		0,                   // no end to a sync
		resync+jitter,       // errors of the repository server that are overlooked
		0, 0, nil, nil, nil, // metrics
		20,   // calls of kubectl at the same time
		true, // the health of each object is in the Application, where it is read
		shards,
		nil,   // no other namespaces with Applications
		nil,   // queues as they are by default
		false, // what server-side diff an Application has, it asks for
		false, normalizers.IgnoreNormalizerOpts{}, argo.DefaultEnableEventList(),
		false, // no hydrator
	)
	if err != nil {
		return err
	}
	application.GetMetricsServer().Addr = "127.0.0.1:0"
	application.Run(ctx, 20, 10, 5)
	return nil
}
