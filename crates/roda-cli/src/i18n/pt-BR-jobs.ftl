
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
help-push-cron = Roda de novo e de novo: minuto, hora, dia, mês, dia da semana, em UTC; ou @hourly, @daily, …
help-push-priority = A urgência, de 0 a 9; a maior vai na frente (padrão: 4)
help-push-max-tries = Quantas vezes se tenta antes de dá-la por morta; 0: sem fim (padrão: 5)
help-push-order-key = Tarefas com a mesma chave de ordem rodam uma depois da outra, na ordem em que entraram
help-push-on-crash = Depois de uma queda: “resume” continua do ponto salvo, “retry” recomeça, “hold” espera um operador (padrão: resume)
help-push-copies = Só volta quando tantos membros a têm no disco, este incluído (padrão: local, só este)
help-push-wait = Espera no máximo isto por --copies; a tarefa fica guardada aqui do mesmo jeito
help-push-lines = Uma tarefa para cada linha da entrada padrão
help-push-null = Uma tarefa para cada parte da entrada padrão terminada por um byte zero, como em “find -print0”
help-push-examples =
    Com --lines e --json, uma linha é {"{"}"payload": "…"{"}"} e, se quiser, "key", "delay", "at", "cron",
    "priority", "max_tries", "order_key" e "on_crash". As opções valem para toda linha que não diz
    outra coisa.

    Exemplos
      roda push miniaturas foto.jpg
      roda push correio --key pedido-4711 --max-tries 10 < carta.txt
      roda push relatório --at 2026-12-31T23:00:00Z --on-crash retry mensal
      roda push relatório --cron '30 3 * * MON-FRI' --on-crash retry diário
      find . -name '*.wav' -print0 | roda push codificar -0
help-work = Executa um comando para cada tarefa de uma fila, uma por vez ou várias juntas
help-work-queue = A fila
help-work-jobs = Quantas tarefas ao mesmo tempo (padrão: 1)
help-work-timeout = Encerra um comando que demora mais; a tentativa conta como falha
help-work-idle-exit = Termina quando não há mais nada a fazer na fila
help-work-command = O comando e seus argumentos, depois de “--”
help-work-examples =
    O comando recebe a carga na entrada padrão, e RODA_JOB_ID, RODA_QUEUE, RODA_ATTEMPT, RODA_FENCE,
    RODA_KEY e RODA_TRIES. Saída 0: feita. 85: o progresso está salvo, rode de novo. Qualquer outra:
    nova tentativa mais tarde, no fim dada por morta. “roda checkpoint” guarda o progresso. O comando
    e tudo o que iniciou terminam antes que a tarefa possa rodar em outro lugar. Ctrl-C: não toma mais
    tarefas, termina as que rodam; duas vezes: encerra-as.

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
help-queue-retain = Por quanto tempo esta máquina lista tarefas terminadas de uma fila; sem prazos, diz os que valem
help-queue-retain-queue = A fila
help-queue-retain-done = As concluídas ou canceladas, por este tempo depois do fim
help-queue-retain-dead = As mortas, por este tempo depois do fim
help-queue-stats = Mostra quantas tarefas de uma fila estão em cada estado
help-queue-stats-queue = A fila
help-checkpoint = Dentro de uma tarefa: guarda o progresso, do qual ela continua depois de uma queda
help-checkpoint-save = Guarda a entrada padrão (até 16 MiB) como o progresso desta tarefa
help-checkpoint-save-done = Quanto está feito, para as pessoas
help-checkpoint-save-total = De quanto
help-checkpoint-save-examples =
    Exemplos
      n=$(roda checkpoint load); n=${"{"}n:-0{"}"}
      echo "$n" | roda checkpoint save --done "$n" --total 9000
help-checkpoint-load = Imprime o progresso desta tarefa; nada, se não há nenhum

# Rótulos de tabelas
jobs-head-id = ID
jobs-head-queue = FILA
jobs-head-state = ESTADO
jobs-head-tries = TENTATIVAS
jobs-head-progress = PROGRESSO
jobs-head-node = NÓ
jobs-head-took = LEVOU
jobs-head-code = CÓDIGO
jobs-head-pushed = ENTROU
jobs-head-waiting = ESPERAM
jobs-head-running = RODAM
jobs-head-done = FEITAS
jobs-head-dead = MORTAS
jobs-head-cancelled = CANCELADAS
jobs-head-held = RETIDAS
jobs-head-duplicate = REPETIDAS
job-head-attempt = TENTATIVA
job-head-started = COMEÇOU
job-head-outcome = DESFECHO
job-waiting = espera
job-running = roda
job-done = feita
job-dead = morta
job-cancelled = cancelada
job-held = retida
job-duplicate = repetida
job-cancelling = sendo cancelada
job-recurs = { $state }, rodadas: { $rounds }
job-recurs-until = { $state } até { $until }, rodadas: { $rounds }
job-outcome-failed = falhou
job-outcome-again = mais uma vez
job-outcome-returned = devolvida
job-outcome-cut-off = interrompida
job-outcome-lost = perdida
job-label-id = Tarefa
job-label-queue = Fila
job-label-state = Estado
job-label-pushed = Entrou
job-label-not-before = Não antes de
job-label-cron = Volta (UTC)
job-label-rounds = Rodadas
job-label-duplicate = Igual a
job-label-key = Chave
job-label-order-key = Ordem
job-label-priority = Prioridade
job-label-tries = Tentativas
job-label-on-crash = Em queda
job-label-progress = Progresso
job-label-checkpoint = Ponto salvo
job-label-code = Código
job-label-payload = Carga
job-checkpoint-elsewhere = não está neste nó
job-tries = falhas: { $tries }, no máximo { $most }
job-tries-endless = qualquer número
job-last-round-done = a última, feita em { $ended }
job-last-round-dead = a última, morta em { $ended } (código { $code })

# Resultados
push-stored =
    { $count ->
        [one] { $count } tarefa foi guardada antes do erro.
       *[other] { $count } tarefas foram guardadas antes do erro.
    }
jobs-none = Não há tarefas assim.
jobs-more =
    { $count ->
        [one] Há mais: “-n N” mostra N delas, “-n 0” todas.
       *[other] Estas são { $count }, e há mais: “-n N” mostra N delas, “-n 0” todas.
    }
job-is = { $job }: { $state }
job-wait-held = { $job } está retida: espera por “roda job retry” ou “roda job cancel”
job-retried = { $job } será tentada de novo: { $state }
job-cancel-told = { $job }: { $state }
queues-none = Não há filas.
queue-is-paused = em pausa
queue-paused = { $queue } está em pausa: nenhuma tarefa dela começa.
queue-resumed = { $queue } continua.
queue-retained = { $queue }: tarefas concluídas ou canceladas são listadas por { $done }, as mortas por { $dead }.
queue-purged =
    { $count ->
        [one] { $count } tarefa que esperava em { $queue } foi cancelada.
       *[other] { $count } tarefas que esperavam em { $queue } foram canceladas.
    }
worker-no-quorum = { $reachable } de { $voters } votantes ao alcance; são precisos { $needed }; esperando
worker-draining =
    { $count ->
        [one] Nenhuma tarefa mais; { $count } ainda roda. Mais uma vez a encerra.
       *[other] Nenhuma tarefa mais; { $count } ainda rodam. Mais uma vez as encerra.
    }
worker-giving-back =
    { $count ->
        [one] { $count } tarefa está sendo encerrada e devolvida.
       *[other] { $count } tarefas estão sendo encerradas e devolvidas.
    }
worker-paused = { $queue } está em pausa: este trabalhador espera por “roda queue resume { $queue }”
worker-timeout = { $job } já roda há { $time } (--timeout) e está sendo encerrada
worker-failed = { $job } falhou (código de saída { $code })
worker-done = { $job } feita
worker-again = { $job } salvou o progresso e roda de novo
worker-returned = { $job } devolvida
worker-cut-off = { $job } foi interrompida e fica retida: “roda job retry” ou “roda job cancel”
worker-cancelled = { $job } cancelada

# Erros: uso
error-usage-work-command = “{ $argument }” está onde só cabem uma fila e opções
    .hint = o comando vem depois de “--”: roda work FILA -- CMD
error-usage-no-payload = falta a carga
    .hint = escreva-a depois da fila, ou passe-a pela entrada padrão: … | roda push FILA
error-usage-moment = “{ $value }” não é um momento
    .hint = escreva 2026-05-04T03:02:01Z, ou 2026-05-04T00:02:01-03:00
error-usage-past = { $value } já passou
    .hint = confira o ano e o fuso, ou tire o --at para começar já
error-usage-no-job = este comando não roda dentro de uma tarefa
    .hint = “roda work FILA -- CMD” executa CMD para cada tarefa; CMD pode usar “roda checkpoint”

# Erros: tarefas
error-queue-empty = o nome de uma fila não pode ser vazio
    .hint = use letras, dígitos, “-”, “_” e “.”
error-queue-too-long = o nome de uma fila tem no máximo 100 bytes; este tem { $bytes }
    .hint = escolha um nome mais curto
error-queue-bad-character = o nome de uma fila não pode conter { $character }
    .hint = use letras, dígitos, “-”, “_” e “.”
error-queue-bad-start = o nome de uma fila não pode começar com { $character }
    .hint = comece com uma letra ou um dígito
error-unknown-queue = não há a fila “{ $queue }”
    .hint = “roda queue list” as lista; “roda push { $queue } CARGA” começa esta
error-job-id = “{ $job }” não é o id de uma tarefa
    .hint = um id é como 3f2a9c01-17: ao menos 4 dígitos, “-” e um número; “roda jobs” os lista
error-unknown-job = não há a tarefa “{ $job }”
    .hint = “roda jobs” as lista; uma que acaba de entrar em outra máquina pode ainda estar a caminho
error-ambiguous-job = “{ $job }” serve para várias tarefas
    .hint = dê mais dígitos antes do “-”, como “roda jobs --json” os mostra
error-unknown-attempt = a tarefa { $job } não tem a tentativa { $attempt }; ela teve { $count }
    .hint = “roda job show { $job }” as lista
error-job-payload-too-long = uma carga tem no máximo { $most } bytes; esta tem mais
    .hint = ponha os dados em um arquivo e o caminho dele na carga; ou “--lines”, uma tarefa para cada linha
error-job-line-too-long = a linha ou parte { $line } tem mais de { $most } bytes; as anteriores estão guardadas ({ $stored })
    .hint = ponha os dados em um arquivo e o caminho dele na carga, e continue a partir daí
error-job-line-json = a linha { $line } não é uma tarefa: { $reason }; as anteriores estão guardadas ({ $stored })
    .hint = escreva {"{"}"payload": "…"{"}"}, um objeto em cada linha, e continue a partir daí
error-job-key-empty = uma chave não pode ser vazia
    .hint = tire-a, ou escolha o que distingue esta tarefa das outras, como o número de um pedido
error-job-key-too-long = uma chave tem no máximo { $most } bytes; esta tem { $bytes }
    .hint = o hash de uma chave longa também é uma chave
error-job-key-conflict = a chave “{ $key }” é da tarefa { $job }, que tem outra carga ou outras opções
    .hint = nada foi guardado; escolha outra chave, ou veja a tarefa: roda job show { $job }
error-job-copies = “{ $value }” não é um número de membros
    .hint = escreva “local”, “majority” ou um número, como 2
error-job-copies-too-many = { $wanted } membros não podem tê-la: o grupo tem { $members }
    .hint = nada foi guardado; peça menos, ou “majority”
error-job-copies-timeout = não chegou a tempo a { $wanted } membros: { $copies } de { $members } a têm
    .hint = a tarefa está guardada aqui e será feita; “roda members” mostra quem está fora. Não a ponha de novo sem --key
error-job-copies-interrupted = ainda não está em { $wanted } membros: { $copies } de { $members } a têm
    .hint = a tarefa está guardada aqui e será feita; “roda job cancel ID” desiste dela
error-job-cron-text = uma expressão cron tem no máximo 200 caracteres imprimíveis
    .hint = cinco campos: minuto, hora, dia, mês, dia da semana; toda noite às 3:30 UTC é “30 3 * * *”
error-job-cron-fields = uma expressão cron tem 5 campos; “{ $value }” tem { $count }
    .hint = minuto, hora, dia, mês, dia da semana, em UTC; entre aspas: --cron '30 3 * * *'
error-job-cron-minute = “{ $value }” não é um minuto de expressão cron
    .hint = de 0 a 59, como em “30”, “0,30”, “10-20”, “*/5”
error-job-cron-hour = “{ $value }” não é uma hora de expressão cron
    .hint = de 0 a 23, em UTC, como em “3”, “8-18”, “*/6”
error-job-cron-day = “{ $value }” não é um dia do mês de expressão cron
    .hint = de 1 a 31, ou L para o último
error-job-cron-month = “{ $value }” não é um mês de expressão cron
    .hint = de 1 a 12, ou JAN a DEC
error-job-cron-weekday = “{ $value }” não é um dia da semana de expressão cron
    .hint = de 0 (domingo) a 6, ou SUN a SAT, como em “MON-FRI”
error-job-cron-never = “{ $value }” nunca chega
    .hint = existe esse dia nesse mês? L é o último dia de qualquer mês
error-job-ended = a tarefa { $job } já terminou ({ $state })
    .hint = “roda job show { $job }” diz como; uma morta roda de novo com “roda job retry { $job }”
error-job-is-duplicate = a tarefa { $job } repete { $counts }, que é a que conta
    .hint = use essa: roda job show { $counts }
error-job-not-ended = a tarefa { $job } não pode ser tentada de novo, pois seu estado é “{ $state }”
    .hint = só as mortas, canceladas ou retidas podem; “roda job cancel { $job }” encerra uma que roda
error-job-attempt-over = a tentativa { $attempt } da tarefa { $job } acabou: ela não vale mais
    .hint = nada foi guardado; encerre este processo, a tarefa roda em outro lugar ou terminou
error-job-is-dead = a tarefa { $job } está morta: falhou vezes demais, por último com o código de saída { $code }
    .hint = “roda job log { $job }” mostra o que ela imprimiu, “roda job retry { $job }” tenta de novo
error-job-round-is-dead = esta rodada da tarefa { $job } está morta: falhou demais, por último com o código { $code }
    .hint = a próxima rodada vem do mesmo jeito; “roda job show { $job }” diz quando, “roda job log { $job }” o que ela imprimiu
error-job-is-cancelled = a tarefa { $job } foi cancelada
    .hint = “roda job retry { $job }” a executa mesmo assim
error-job-wait-timeout = a tarefa { $job } não terminou a tempo: seu estado é “{ $state }”
    .hint = espere mais com --timeout D, ou veja o que a segura: roda job show { $job }
error-checkpoint-too-long = um ponto salvo tem no máximo { $most } bytes; este tem mais
    .hint = ponha os dados em um arquivo que todos os trabalhadores veem e o caminho dele no ponto salvo
error-checkpoints-full = os pontos salvos grandes deste nó têm { $most } bytes, o máximo permitido
    .hint = eles somem quando suas tarefas terminam ou são canceladas; “roda jobs” mostra as que faltam
checkpoint-skipped = aviso: pontos salvos mais novos que estão danificados ou em nenhuma máquina que responda: { $skipped }; este é o anterior
checkpoint-none-left = aviso: não resta nenhum ponto salvo: { $skipped } estão danificados ou em nenhuma máquina que responda; a tarefa começa do zero
error-request-worker = “{ $worker }” não é o nome de um trabalhador
    .hint = docs/control-api.md mostra o que é preciso
