/* MPI for Node: what packages/run's MPI transport needs, and no more. Built on demand with the MPI compiler (src/execute/transport/mpi/buildAddon.ts).
 *
 * Every function that waits does so for a slice of time at most, and comes back when a control message is there, so that deadlines and news of
 * failures are handled in one place, in JavaScript. Messages are matched first (MPI_Improbe) and taken then, so that a length that differs is
 * seen before it does harm. Requests and communicators are small numbers on the JavaScript side. */

#include <mpi.h>
#include <node_api.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COMMS 4096
#define SLICE_PASSED -2
#define CONTROL_CAME -3
#define DONE -1

/* comms[0]: messages, comms[1]: control; after them, one for each group that uses MPI's own collectives. */
static MPI_Comm comms[MAX_COMMS];
static int num_comms = 0;

typedef struct {
  MPI_Request request;
  napi_ref keeps[2]; /* the arrays whose memory MPI reads or writes */
  int *counts;       /* of an all-to-all, until it has ended */
  int used;
} Slot;

static Slot *slots = NULL;
static int num_slots = 0;

static int failed(napi_env env, int code, const char *what) {
  if (code == MPI_SUCCESS) return 0;
  char text[MPI_MAX_ERROR_STRING + 64];
  char reason[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, reason, &length);
  reason[length] = 0;
  strcpy(text, what);
  strcat(text, ": ");
  strncat(text, reason, sizeof text - strlen(text) - 1);
  napi_throw_error(env, "MPI", text);
  return 1;
}

static void arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
}

static int whole(napi_env env, napi_value value) {
  int32_t number = 0;
  napi_get_value_int32(env, value, &number);
  return number;
}

static napi_value number(napi_env env, int value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

/* The memory of a typed array, with its length in elements. */
static void *memory(napi_env env, napi_value value, int *length) {
  void *data = NULL;
  size_t count = 0;
  napi_get_typedarray_info(env, value, NULL, &count, &data, NULL, NULL);
  *length = (int)count;
  return data;
}

static int free_slot(void) {
  for (int i = 0; i < num_slots; i++)
    if (!slots[i].used) return i;
  int first = num_slots;
  num_slots = first == 0 ? 64 : first * 2;
  slots = realloc(slots, num_slots * sizeof(Slot));
  memset(slots + first, 0, (num_slots - first) * sizeof(Slot));
  return first;
}

static napi_value keep(napi_env env, int at, napi_value first, napi_value second) {
  Slot *slot = &slots[at];
  slot->used = 1;
  slot->keeps[0] = slot->keeps[1] = NULL;
  if (first != NULL) napi_create_reference(env, first, 1, &slot->keeps[0]);
  if (second != NULL) napi_create_reference(env, second, 1, &slot->keeps[1]);
  return number(env, at);
}

static void release(napi_env env, Slot *slot) {
  for (int i = 0; i < 2; i++)
    if (slot->keeps[i] != NULL) napi_delete_reference(env, slot->keeps[i]);
  slot->keeps[0] = slot->keeps[1] = NULL;
  free(slot->counts);
  slot->counts = NULL;
  slot->used = 0;
}

static int control_came(void) {
  int flag = 0;
  MPI_Iprobe(MPI_ANY_SOURCE, 0, comms[1], &flag, MPI_STATUS_IGNORE);
  return flag;
}

/* Called after a look that found nothing. Others may need the core, so it gives way after a short while. */
static int pause_or_leave(double until, unsigned looks) {
  if (looks > 2000) sched_yield();
  if ((looks & 63) == 0) {
    if (control_came()) return CONTROL_CAME;
    if (MPI_Wtime() > until) return SLICE_PASSED;
  }
  return 0;
}

/* init() -> [rank, number of ranks] */
static napi_value init(napi_env env, napi_callback_info info) {
  (void)info;
  int done = 0, provided = 0, rank = 0, size = 0;
  MPI_Initialized(&done);
  if (!done && failed(env, MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread")) return NULL;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  for (num_comms = 0; num_comms < 2; num_comms++)
    if (failed(env, MPI_Comm_dup(MPI_COMM_WORLD, &comms[num_comms]), "MPI_Comm_dup")) return NULL;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  napi_value result;
  napi_create_array_with_length(env, 2, &result);
  napi_set_element(env, result, 0, number(env, rank));
  napi_set_element(env, result, 1, number(env, size));
  return result;
}

/* post(comm, to, tag, bytes) -> request */
static napi_value post(napi_env env, napi_callback_info info) {
  napi_value args[4];
  arguments(env, info, 4, args);
  int length = 0, at = free_slot();
  void *data = memory(env, args[3], &length);
  int code = MPI_Isend(data, length, MPI_BYTE, whole(env, args[1]), whole(env, args[2]), comms[whole(env, args[0])], &slots[at].request);
  if (failed(env, code, "MPI_Isend")) return NULL;
  return keep(env, at, args[3], NULL);
}

static int wait_slot(napi_env env, Slot *slot, double seconds) {
  double until = MPI_Wtime() + seconds;
  for (unsigned looks = 1;; looks++) {
    int flag = 0;
    if (failed(env, MPI_Test(&slot->request, &flag, MPI_STATUS_IGNORE), "MPI_Test")) return DONE;
    if (flag) {
      release(env, slot);
      return DONE;
    }
    int left = pause_or_leave(until, looks);
    if (left != 0) return left;
  }
}

/* wait(request, seconds) -> DONE, SLICE_PASSED or CONTROL_CAME */
static napi_value wait_request(napi_env env, napi_callback_info info) {
  napi_value args[2];
  double seconds = 0;
  arguments(env, info, 2, args);
  napi_get_value_double(env, args[1], &seconds);
  return number(env, wait_slot(env, &slots[whole(env, args[0])], seconds));
}

/* receive(from, tag, bytes, seconds) -> DONE, SLICE_PASSED, CONTROL_CAME, or the message's length where it is not that of bytes */
static napi_value receive(napi_env env, napi_callback_info info) {
  napi_value args[4];
  double seconds = 0;
  arguments(env, info, 4, args);
  int from = whole(env, args[0]), tag = whole(env, args[1]), length = 0;
  void *data = memory(env, args[2], &length);
  napi_get_value_double(env, args[3], &seconds);
  double until = MPI_Wtime() + seconds;
  for (unsigned looks = 1;; looks++) {
    int flag = 0, count = 0;
    MPI_Message message;
    MPI_Status status;
    if (failed(env, MPI_Improbe(from, tag, comms[0], &flag, &message, &status), "MPI_Improbe")) return NULL;
    if (flag) {
      MPI_Get_count(&status, MPI_BYTE, &count);
      if (count != length) return number(env, count);
      /* It has been matched, so its sender is there: this ends. */
      if (failed(env, MPI_Mrecv(data, length, MPI_BYTE, &message, &status), "MPI_Mrecv")) return NULL;
      return number(env, DONE);
    }
    int left = pause_or_leave(until, looks);
    if (left != 0) return number(env, left);
  }
}

/* control() -> [from, bytes] of the next control message, or null */
static napi_value control(napi_env env, napi_callback_info info) {
  (void)info;
  int flag = 0, count = 0;
  MPI_Status status;
  MPI_Message message;
  napi_value result, buffer, bytes;
  MPI_Improbe(MPI_ANY_SOURCE, 0, comms[1], &flag, &message, &status);
  if (!flag) {
    napi_get_null(env, &result);
    return result;
  }
  void *data = NULL;
  MPI_Get_count(&status, MPI_BYTE, &count);
  napi_create_arraybuffer(env, count, &data, &buffer);
  if (failed(env, MPI_Mrecv(data, count, MPI_BYTE, &message, &status), "MPI_Mrecv")) return NULL;
  napi_create_typedarray(env, napi_uint8_array, count, buffer, 0, &bytes);
  napi_create_array_with_length(env, 2, &result);
  napi_set_element(env, result, 0, number(env, status.MPI_SOURCE));
  napi_set_element(env, result, 1, bytes);
  return result;
}

/* barrier() -> request */
static napi_value barrier(napi_env env, napi_callback_info info) {
  (void)info;
  int at = free_slot();
  if (failed(env, MPI_Ibarrier(comms[0], &slots[at].request), "MPI_Ibarrier")) return NULL;
  return keep(env, at, NULL, NULL);
}

/* group(ranks) -> comm; all ranks of the group must be calling it */
static napi_value group(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  int length = 0;
  int *ranks = memory(env, args[0], &length);
  if (num_comms == MAX_COMMS) {
    napi_throw_error(env, "MPI", "too many groups use MPI's own collectives");
    return NULL;
  }
  MPI_Group world, part;
  MPI_Comm_group(comms[0], &world);
  if (failed(env, MPI_Group_incl(world, length, ranks, &part), "MPI_Group_incl")) return NULL;
  int code = MPI_Comm_create_group(comms[0], part, 0, &comms[num_comms]);
  MPI_Group_free(&part);
  MPI_Group_free(&world);
  if (failed(env, code, "MPI_Comm_create_group")) return NULL;
  return number(env, num_comms++);
}

static MPI_Op op_of(napi_env env, napi_value value) { return whole(env, value) == 0 ? MPI_SUM : MPI_MAX; }

/* allReduce(comm, view, op) -> request */
static napi_value all_reduce(napi_env env, napi_callback_info info) {
  napi_value args[3];
  arguments(env, info, 3, args);
  int length = 0, at = free_slot();
  void *view = memory(env, args[1], &length);
  int code = MPI_Iallreduce(MPI_IN_PLACE, view, length, MPI_FLOAT, op_of(env, args[2]), comms[whole(env, args[0])], &slots[at].request);
  if (failed(env, code, "MPI_Iallreduce")) return NULL;
  return keep(env, at, args[1], NULL);
}

/* allGather(comm, input, out) -> request */
static napi_value all_gather(napi_env env, napi_callback_info info) {
  napi_value args[3];
  arguments(env, info, 3, args);
  int length = 0, total = 0, at = free_slot();
  void *input = memory(env, args[1], &length);
  void *out = memory(env, args[2], &total);
  int code = MPI_Iallgather(input, length, MPI_FLOAT, out, length, MPI_FLOAT, comms[whole(env, args[0])], &slots[at].request);
  if (failed(env, code, "MPI_Iallgather")) return NULL;
  return keep(env, at, args[1], args[2]);
}

/* reduceScatter(comm, input, out, op) -> request */
static napi_value reduce_scatter(napi_env env, napi_callback_info info) {
  napi_value args[4];
  arguments(env, info, 4, args);
  int total = 0, length = 0, at = free_slot();
  void *input = memory(env, args[1], &total);
  void *out = memory(env, args[2], &length);
  int code = MPI_Ireduce_scatter_block(input, out, length, MPI_FLOAT, op_of(env, args[3]), comms[whole(env, args[0])], &slots[at].request);
  if (failed(env, code, "MPI_Ireduce_scatter_block")) return NULL;
  return keep(env, at, args[1], args[2]);
}

/* allToAll(comm, input, out, counts): sendCounts, sendOffsets, recvCounts, recvOffsets one after another -> request */
static napi_value all_to_all(napi_env env, napi_callback_info info) {
  napi_value args[4];
  arguments(env, info, 4, args);
  int length = 0, total = 0, at = free_slot();
  void *input = memory(env, args[1], &length);
  void *out = memory(env, args[2], &length);
  int *given = memory(env, args[3], &total);
  int *counts = malloc(total * sizeof(int));
  memcpy(counts, given, total * sizeof(int));
  int n = total / 4;
  int code = MPI_Ialltoallv(input, counts, counts + n, MPI_FLOAT, out, counts + 2 * n, counts + 3 * n, MPI_FLOAT,
                            comms[whole(env, args[0])], &slots[at].request);
  slots[at].counts = counts;
  if (failed(env, code, "MPI_Ialltoallv")) return NULL;
  return keep(env, at, args[1], args[2]);
}

/* broadcast(comm, view, root) -> request */
static napi_value broadcast(napi_env env, napi_callback_info info) {
  napi_value args[3];
  arguments(env, info, 3, args);
  int length = 0, at = free_slot();
  void *view = memory(env, args[1], &length);
  int code = MPI_Ibcast(view, length, MPI_FLOAT, whole(env, args[2]), comms[whole(env, args[0])], &slots[at].request);
  if (failed(env, code, "MPI_Ibcast")) return NULL;
  return keep(env, at, args[1], NULL);
}

static napi_value finalize(napi_env env, napi_callback_info info) {
  (void)info;
  failed(env, MPI_Finalize(), "MPI_Finalize");
  return NULL;
}

/* version() -> the library in words */
static napi_value version(napi_env env, napi_callback_info info) {
  (void)info;
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  napi_value result;
  MPI_Get_library_version(text, &length);
  napi_create_string_utf8(env, text, length, &result);
  return result;
}

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"init", init},           {"post", post},
      {"wait", wait_request},   {"receive", receive},
      {"control", control},     {"barrier", barrier},
      {"group", group},         {"allReduce", all_reduce},
      {"allGather", all_gather}, {"reduceScatter", reduce_scatter},
      {"allToAll", all_to_all}, {"broadcast", broadcast},
      {"finalize", finalize},   {"version", version},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
