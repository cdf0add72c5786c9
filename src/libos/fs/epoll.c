/*
 * epoll: creation, epoll_ctl and the end of watched files (fs/epoll.h says how it works). Called by sys_epoll.c and, when
 * a file's last reference goes, by file_put. The host kernel is trusted for host files, nobody for anything else.
 */
#include "fs/epoll.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "ipc/block.h"
#include "ipc/eventfd.h"
#include "ipc/pipe.h"
#include "net/loop.h"

#define NESTING_MAX 5
#define FLAG_BITS ((uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP))
#define EXCLUSIVE_OK ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLET | EPOLLEXCLUSIVE | EPOLLWAKEUP))

static struct mutex g_epolls;

static void wake_local(struct waiter *w, uint32_t events)
{
	struct epoll_item *item = w->data;
	uint32_t mask = __atomic_load_n(&item->events, __ATOMIC_RELAXED) & ~FLAG_BITS;

	if (!mask || (events && !(events & mask)))
		return; /* EPOLLONESHOT has fired, or not interesting */
	epoll_item_ready(item);
}

/* The first libOS object: the eventfd that wakes waits in the host epoll. items_lock held. */
static int make_eventfd(struct epoll *ep)
{
	uint32_t events = EPOLLIN | (ep->observed ? 0 : EPOLLET);
	long fd, ret;

	if (ep->eventfd >= 0)
		return 0;
	fd = hostcall(HC_eventfd_create, 0, EFD_NONBLOCK);
	if (fd < 0)
		return (int)fd;
	ret = hostcall(HC_epoll_ctl, ep->host, EPOLL_CTL_ADD, fd, events, ep->cookie);
	if (ret < 0) {
		(void)hostcall(HC_file_close, fd);
		return (int)ret;
	}
	mutex_lock(&ep->ready_lock);
	ep->eventfd = (int)fd;
	mutex_unlock(&ep->ready_lock);
	return 0;
}

static struct epoll_item **find_slot(struct epoll *ep, int fd, const struct file *f)
{
	struct epoll_item **at;

	if ((unsigned)fd >= ep->by_fd_count)
		return NULL;
	for (at = &ep->by_fd[fd]; *at; at = &(*at)->next)
		if ((*at)->file == f)
			return at;
	return NULL;
}

static int grow_table(struct epoll *ep, int fd)
{
	unsigned count = ep->by_fd_count ? ep->by_fd_count : 16;
	struct epoll_item **table;

	if ((unsigned)fd < ep->by_fd_count)
		return 0;
	while (count <= (unsigned)fd)
		count *= 2;
	table = krealloc(ep->by_fd, count * sizeof(*table));
	if (!table)
		return -ENOMEM;
	memset(table + ep->by_fd_count, 0, (count - ep->by_fd_count) * sizeof(*table));
	ep->by_fd = table;
	ep->by_fd_count = count;
	return 0;
}

/* Register in the host epoll, through a duplicate if the file is already there under another number. */
static int add_host(struct epoll_item *item)
{
	struct epoll *ep = item->epoll;
	long ret = hostcall(HC_epoll_ctl, ep->host, EPOLL_CTL_ADD, item->handle, item->events, item->data);

	if (ret == -EEXIST) {
		long dup = hostcall(HC_file_dup, item->handle);

		if (dup < 0)
			return (int)dup;
		ret = hostcall(HC_epoll_ctl, ep->host, EPOLL_CTL_ADD, dup, item->events, item->data);
		if (ret < 0) {
			(void)hostcall(HC_file_close, dup);
			return (int)ret;
		}
		item->handle = (int)dup;
		item->owns_handle = true;
	}
	if (ret >= 0)
		ep->host_count++;
	return (int)ret;
}

static int add_local(struct epoll_item *item)
{
	struct epoll *ep = item->epoll;
	int err = make_eventfd(ep);

	if (err)
		return err;
	item->waiter.wake = wake_local;
	item->waiter.data = item;
	item->waiter.events = pipe_end_events(item->file); /* what the other end waits for is no edge of this one */
	item->owner = signalfd_owner(item->file);
	__atomic_add_fetch(&ep->local_count, 1, __ATOMIC_SEQ_CST);
	waitq_add(item->file->ops->waitq(item->file), &item->waiter);
	/* Who sleeps already learns of a connect that is tried again, and sleeps for as long as that. */
	if (epoll_item_poll(item) || loop_connects(item->file))
		epoll_item_ready(item);
	return 0;
}

/* What an item waits for: errors always, so that no events at all means a fired EPOLLONESHOT. */
static uint32_t wanted(const struct epoll_event *event)
{
	return (event->events & ~(uint32_t)EPOLLWAKEUP) | EPOLLERR | EPOLLHUP;
}

/* Is there anything to wait for? */
static bool watchable(struct file *f)
{
	if (f->ops->waitq)
		return f->ops->poll;
	return f->ops->host_handle && f->ops->host_handle(f) >= 0;
}

/* Who sleeps in the host epoll, now or later, hears the doorbell; of all who do one is woken. */
static void add_doorbell(struct epoll *ep)
{
	int doorbell = loop_doorbell();

	if (!ep->doorbell && doorbell >= 0)
		ep->doorbell = !hostcall(HC_epoll_ctl, ep->host, EPOLL_CTL_ADD, doorbell, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE,
					 ep->cookie + 1);
}

static int attach(struct epoll_item *item)
{
	const struct file_ops *ops = item->file->ops;

	if (loop_watches(item->file) && !epoll_of(item->file))
		add_doorbell(item->epoll);
	item->handle = ops->waitq ? -1 : ops->host_handle(item->file);
	return item->handle >= 0 ? add_host(item) : ops->waitq ? add_local(item) : item->handle;
}

static int add(struct epoll *ep, int fd, struct file *f, const struct epoll_event *event)
{
	struct epoll_item *item;
	int err;

	if (find_slot(ep, fd, f))
		return -EEXIST;
	err = grow_table(ep, fd);
	if (err)
		return err;
	item = kzalloc(sizeof(*item));
	if (!item)
		return -ENOMEM;
	list_init(&item->by_file);
	list_init(&item->ready);
	list_init(&item->waiter.link);
	item->epoll = ep;
	item->file = f;
	item->fd = fd;
	item->events = wanted(event);
	item->data = event->data;
	err = attach(item);
	if (err) {
		kfree(item);
		return err;
	}
	item->next = ep->by_fd[fd];
	ep->by_fd[fd] = item;
	ep->nested_count += epoll_of(f) != NULL;
	mutex_lock(&f->epolls_lock);
	list_append(&f->epolls, &item->by_file);
	mutex_unlock(&f->epolls_lock);
	return 0;
}

static void detach(struct epoll_item *item, bool closing)
{
	struct epoll *ep = item->epoll;

	if (item->handle >= 0) {
		if (!closing || item->file->ops != &g_inet_file_ops)
			(void)hostcall(HC_epoll_ctl, ep->host, EPOLL_CTL_DEL, item->handle, 0, 0);
		if (item->owns_handle)
			(void)hostcall(HC_file_close, item->handle);
		item->owns_handle = false;
		ep->host_count--;
	} else {
		waitq_remove(&item->waiter);
		process_put(item->owner);
		item->owner = NULL;
		__atomic_sub_fetch(&ep->local_count, 1, __ATOMIC_SEQ_CST);
	}
}

/* Take an item that nothing is attached for out of its epoll and free it. items_lock held; the file is still whole. */
static void free_item(struct epoll_item **at)
{
	struct epoll_item *item = *at;
	struct epoll *ep = item->epoll;
	struct file *f = item->file;

	*at = item->next;
	ep->nested_count -= epoll_of(f) != NULL;
	mutex_lock(&ep->ready_lock);
	list_remove(&item->ready);
	mutex_unlock(&ep->ready_lock);
	mutex_lock(&f->epolls_lock);
	list_remove(&item->by_file);
	mutex_unlock(&f->epolls_lock);
	kfree(item);
}

/* The same of one that is attached. `closing`: the file's last reference is going. A host socket is then closed next, which
 * takes it out of the host epoll for free; other host files may live on in other processes. */
static void remove_item(struct epoll_item **at, bool closing)
{
	detach(*at, closing);
	free_item(at);
}

static int modify(struct epoll_item *item, const struct epoll_event *event)
{
	uint32_t events = wanted(event);

	if (item->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	if (item->handle >= 0) {
		long ret = hostcall(HC_epoll_ctl, item->epoll->host, EPOLL_CTL_MOD, item->handle, events, event->data);

		if (ret < 0)
			return (int)ret;
	}
	__atomic_store_n(&item->events, events, __ATOMIC_SEQ_CST);
	item->data = event->data;
	if (item->handle < 0 && epoll_item_poll(item))
		epoll_item_ready(item);
	return 0;
}

/* Would watching `inner` from `outer` make a circle or nest too deep? g_epolls held. */
static int check_nesting(struct epoll *inner, const struct epoll *outer, int depth)
{
	int err = 0;

	if (inner == outer || depth > NESTING_MAX)
		return -ELOOP;
	if (!inner->nested_count)
		return 0;
	mutex_lock(&inner->items_lock);
	for (unsigned fd = 0; fd < inner->by_fd_count && !err; fd++)
		for (struct epoll_item *i = inner->by_fd[fd]; i && !err; i = i->next)
			if (epoll_of(i->file))
				err = check_nesting(epoll_of(i->file), outer, depth + 1);
	mutex_unlock(&inner->items_lock);
	return err;
}

static int check_exclusive(int op, struct file *f, const struct epoll_event *event)
{
	if (!(event->events & EPOLLEXCLUSIVE))
		return 0;
	if (op != EPOLL_CTL_ADD || epoll_of(f) || (event->events & ~EXCLUSIVE_OK))
		return -EINVAL;
	return 0;
}

int epoll_control(struct file *epf, int op, int fd, struct file *f, const struct epoll_event *event)
{
	struct epoll *ep = epoll_of(epf), *inner = epoll_of(f);
	struct epoll_item **at;
	int err = 0;

	if ((f->flags | epf->flags) & O_PATH)
		return -EBADF;
	if (!watchable(f))
		return -EPERM;
	if (!ep || f == epf)
		return -EINVAL;
	if (op != EPOLL_CTL_DEL)
		err = check_exclusive(op, f, event);
	if (err)
		return err;
	if (inner && op == EPOLL_CTL_ADD) {
		mutex_lock(&g_epolls);
		err = check_nesting(inner, ep, 1);
	}
	mutex_lock(&ep->items_lock);
	at = find_slot(ep, fd, f);
	if (!err && op == EPOLL_CTL_ADD) {
		err = add(ep, fd, f, event);
	} else if (!err) {
		err = -EINVAL;
		if (op == EPOLL_CTL_DEL || op == EPOLL_CTL_MOD)
			err = at ? 0 : -ENOENT;
		if (!err && op == EPOLL_CTL_DEL)
			remove_item(at, false);
		else if (!err)
			err = modify(*at, event);
	}
	mutex_unlock(&ep->items_lock);
	if (inner && op == EPOLL_CTL_ADD)
		mutex_unlock(&g_epolls);
	return err;
}

void epoll_forget_file(struct file *f)
{
	mutex_lock(&g_epolls);
	for (;;) {
		struct epoll_item *item = NULL;

		mutex_lock(&f->epolls_lock);
		if (!list_empty(&f->epolls))
			item = list_entry(f->epolls.next, struct epoll_item, by_file);
		mutex_unlock(&f->epolls_lock);
		if (!item)
			break;
		/* Nobody else can remove it: others would need a reference to the file, or g_epolls. */
		struct epoll *ep = item->epoll;

		mutex_lock(&ep->items_lock);
		remove_item(find_slot(ep, item->fd, f), true);
		mutex_unlock(&ep->items_lock);
	}
	mutex_unlock(&g_epolls);
}

static void reattach(struct epoll *ep, int fd, struct file *f)
{
	struct epoll_item **at;

	mutex_lock(&ep->items_lock);
	at = find_slot(ep, fd, f);
	if (at) {
		detach(*at, false);
		if (attach(*at)) {
			log_text("epoll: descriptor %d is no longer watched: no handle or memory is left (--handles, --memory)", fd);
			free_item(at);
		}
	}
	mutex_unlock(&ep->items_lock);
}

void epoll_reattach(struct file *f)
{
	unsigned left = 0;

	if (list_empty(&f->epolls))
		return;
	mutex_lock(&g_epolls); /* none of them goes away */
	mutex_lock(&f->epolls_lock);
	list_for_each(l, &f->epolls)
		left++;
	mutex_unlock(&f->epolls_lock);
	for (; left; left--) { /* the first goes to the end; who is added meanwhile comes behind all that were there */
		struct epoll *ep = NULL;
		int fd = -1;

		mutex_lock(&f->epolls_lock);
		if (!list_empty(&f->epolls)) {
			struct epoll_item *item = list_entry(f->epolls.next, struct epoll_item, by_file);

			ep = item->epoll;
			fd = item->fd;
			list_remove(&item->by_file);
			list_append(&f->epolls, &item->by_file);
		}
		mutex_unlock(&f->epolls_lock);
		if (ep)
			reattach(ep, fd, f);
	}
	mutex_unlock(&g_epolls);
}

/* poll(2) on the epoll itself: the libOS's part, the host epoll's handle says the rest. */
static uint32_t epoll_poll(struct file *f)
{
	struct epoll *ep = f->data;
	bool ready;

	/* What was signaled may have gone since: then the host epoll must not say so for ever. */
	if (!__atomic_load_n(&ep->local_count, __ATOMIC_SEQ_CST) && !ep->nested_count && !ep->signaled)
		return 0;
	mutex_lock(&ep->items_lock);
	ready = epoll_refresh(ep);
	mutex_unlock(&ep->items_lock);
	return ready ? EPOLLIN | EPOLLRDNORM : 0;
}

/* Somebody will watch the host epoll: from now on it must tell the truth about libOS objects at any time. */
static int epoll_handle(struct file *f)
{
	struct epoll *ep = f->data;
	uint64_t one = 1;

	mutex_lock(&ep->ready_lock);
	if (!ep->observed) {
		ep->observed = true;
		if (ep->eventfd >= 0) {
			uint64_t old;

			(void)hostcall(HC_file_read, ep->eventfd, &old, sizeof(old));
			(void)hostcall(HC_epoll_ctl, ep->host, EPOLL_CTL_MOD, ep->eventfd, EPOLLIN, ep->cookie);
			ep->signaled = !list_empty(&ep->ready);
			if (ep->signaled)
				(void)hostcall(HC_file_write, ep->eventfd, &one, sizeof(one));
		}
	}
	mutex_unlock(&ep->ready_lock);
	return ep->host;
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->data;

	mutex_lock(&g_epolls);
	mutex_lock(&ep->items_lock);
	for (unsigned fd = 0; fd < ep->by_fd_count; fd++)
		while (ep->by_fd[fd])
			remove_item(&ep->by_fd[fd], false);
	mutex_unlock(&ep->items_lock);
	mutex_unlock(&g_epolls);
	handle_close(ep->eventfd);
	(void)hostcall(HC_file_close, ep->host);
	kfree(ep->by_fd);
	kfree(ep);
}

static long epoll_ioctl(struct file *f, unsigned long request, void *user)
{
	(void)f, (void)request, (void)user;
	return -EINVAL; /* since Linux 6.9 */
}

static const struct file_ops g_epoll_ops = {
	.ioctl = epoll_ioctl,
	.name = "eventpoll",
	.stat = anon_stat,
	.poll = epoll_poll,
	.host_handle = epoll_handle,
	.release = epoll_release,
};

struct epoll *epoll_of(struct file *f)
{
	return f->ops == &g_epoll_ops ? f->data : NULL;
}

struct file *epoll_create_file(int *error)
{
	struct epoll *ep = kzalloc(sizeof(*ep));
	struct file *f = NULL;
	long host;

	*error = -ENOMEM;
	if (!ep)
		return NULL;
	host = hostcall(HC_epoll_create);
	if (host < 0) {
		*error = (int)host;
		kfree(ep);
		return NULL;
	}
	ep->host = (int)host;
	ep->eventfd = -1;
	list_init(&ep->ready);
	if (hostcall(HC_random, &ep->cookie, sizeof(ep->cookie)) == (long)sizeof(ep->cookie))
		f = file_alloc(&g_epoll_ops, O_RDWR, ep);
	if (!f) {
		(void)hostcall(HC_file_close, host);
		kfree(ep);
	}
	return f;
}
