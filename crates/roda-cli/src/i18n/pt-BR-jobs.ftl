
# Tarefas. Português do Brasil. Os dois catálogos têm as mesmas chaves, na mesma ordem.

# Rótulos
value-queue = FILA
value-payload = CARGA
value-key = CHAVE
value-id = ID
value-state = ESTADO

# Ajuda
help-push = Põe tarefas em uma fila; volta quando estão duráveis aqui e imprime os ids
help-push-queue = A fila; ela começa com a primeira tarefa
help-push-payload = Do que trata a tarefa; “-”, ou nada em um pipe, toma toda a entrada padrão
help-push-key = Põe uma só vez: a mesma chave com a mesma carga dá de novo o mesmo id
help-push-delay = Só começa depois deste tempo
help-push-at = Só começa a partir deste momento: 2026-05-04T03:02:01Z
help-push-priority = A urgência, de 0 a 9; a maior vai na frente (padrão: 4)
help-push-max-tries = Quantas vezes se tenta antes de dá-la por morta; 0: sem fim (padrão: 5)
help-push-order-key = Tarefas com a mesma chave de ordem rodam uma depois da outra, na ordem em que entraram
help-push-on-crash = Depois de uma queda: “resume” continua do ponto salvo, “retry” recomeça, “hold” espera um operador (padrão: resume)
help-push-lines = Uma tarefa para cada linha da entrada padrão
help-push-null = Uma tarefa para cada parte da entrada padrão terminada por um byte zero, como em “find -print0”
help-push-examples =
    Com --lines e --json, uma linha é {"{"}"payload": "…"{"}"} e, se quiser, "key", "delay", "at", "priority",
    "max_tries", "order_key" e "on_crash". As opções valem para toda linha que não diz outra coisa.

    Exemplos
      roda push miniaturas foto.jpg
      roda push correio --key pedido-4711 --max-tries 10 < carta.txt
      roda push relatório --at 2026-12-31T23:00:00Z --on-crash retry mensal
      find . -name '*.wav' -print0 | roda push codificar -0
help-work = Executa um comando para cada tarefa de uma fila, uma por vez ou várias juntas
help-work-queue = A fila
help-work-jobs = Quantas tarefas ao mesmo tempo (padrão: 1)
help-work-timeout = Encerra um comando que demora mais; a tentativa conta como falha
help-work-idle-exit = Termina quando não há mais nada a fazer na fila
help-work-command = O comando e seus argumentos, depois de “--”
help-work-examples =
    O comando recebe a carga na entrada padrão, e RODA_JOB_ID, RODA_QUEUE, RODA_ATTEMPT, RODA_FENCE,
    RODA_KEY e RODA_TRIES. Saída 0: feita. 85: o progresso está salvo, rode de novo. Qualquer outra: nova
    tentativa mais tarde, no fim dada por morta. “roda checkpoint” guarda o progresso. Ele e tudo o que
    iniciou terminam antes que a tarefa possa rodar em outro lugar. Ctrl-C: não toma mais tarefas, termina
    as que rodam; duas vezes: encerra-as.

    Exemplos
      roda work miniaturas -j 4 -- ./faz-miniatura
      roda work correio --timeout 30s -- sendmail -t
      roda work codificar --idle-exit -- xargs -I ARQUIVO flac ARQUIVO
help-jobs = Lista tarefas, as mais novas primeiro
help-jobs-queue = Só as desta fila (padrão: todas)
help-jobs-state = Só as que estão waiting (esperam), running (rodam), done (feitas), dead (mortas), cancelled (canceladas), held (retidas) ou duplicate (repetidas)
help-jobs-lines = No máximo N; 0: todas (padrão: 100)
help-jobs-watch = Mostra de novo a cada meio segundo
help-jobs-examples =
    Exemplos
      roda jobs
      roda jobs miniaturas --state dead
      roda jobs --json -n 0 | jq -r .id
help-job = Vê e conduz uma tarefa
help-job-show = Mostra tudo de uma tarefa: opções, progresso e tentativas
help-job-show-id = A tarefa; ao menos 4 dígitos antes do “-”
help-job-wait = Espera até que tarefas terminem; sai com 1 se alguma não foi feita, com 75 se demorou demais
help-job-wait-id = As tarefas; ao menos 4 dígitos antes de cada “-”
help-job-wait-timeout = Espera no máximo isto
help-job-wait-examples =
    Exemplos
      roda job wait "$(roda push miniaturas foto.jpg)"
      roda job wait --timeout 10m 3f2a-17 3f2a-18
help-job-retry = Roda de novo tarefas mortas, canceladas ou retidas
help-job-retry-id = As tarefas; ao menos 4 dígitos antes de cada “-”
help-job-cancel = Cancela tarefas: a que roda é encerrada, a que espera nunca começa
help-job-cancel-id = As tarefas; ao menos 4 dígitos antes de cada “-”
help-job-log = Imprime o fim do que uma tarefa imprimiu
help-job-log-id = A tarefa; ao menos 4 dígitos antes do “-”
help-job-log-attempt = Nesta tentativa, como número (padrão: a última que imprimiu algo)
help-queue = Vê e conduz filas
help-queue-list = Lista as filas
help-queue-pause = Não começa mais tarefas de uma fila, em nenhuma máquina; as que rodam continuam
help-queue-pause-queue = A fila
help-queue-resume = Volta a começar tarefas de uma fila
help-queue-resume-queue = A fila
help-queue-purge = Cancela todas as tarefas de uma fila que esperam agora
help-queue-purge-queue = A fila
help-queue-stats = Mostra quantas tarefas de uma fila estão em cada estado
help-queue-stats-queue = A fila
help-checkpoint = Dentro de uma tarefa: guarda o progresso, do qual ela continua depois de uma queda
help-checkpoint-save = Guarda a entrada padrão (até 24 KiB) como o progresso desta tarefa
help-checkpoint-save-done = Quanto está feito, para as pessoas
help-checkpoint-save-total = De quanto
help-checkpoint-save-examples =
    Exemplos
      echo "$linha" | roda checkpoint save --done "$linha" --total 9000
      inicio=$(roda checkpoint load); inicio=${"{"}inicio:-0{"}"}
help-checkpoint-load = Imprime o progresso desta tarefa; nada, se não há nenhum

# Erros: uso
error-usage-work-command = “{ $argument }” está onde só cabem uma fila e opções
    .hint = o comando vem depois de “--”: roda work FILA -- CMD
error-not-built = isto ainda não está pronto
    .hint = espere a próxima versão
